//! Which model to take for a mix of work, as it was measured.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An advice, from a measurement of the very mix.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Advice {
    /// The mix: the parameters of the workload `service`, but for the rate.
    pub mix: BTreeMap<String, u64>,
    /// The target.
    pub p99_target_ns: f64,
    /// The runtime of the model to take; null if none keeps the target, or none could be measured.
    pub runtime: Option<String>,
    /// The advice in words, a sentence each: what to take, at what cost, and what would change it.
    pub said: Vec<String>,
}
