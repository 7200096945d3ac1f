//! The model to choose for a mix of work, from a measurement.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Advice from a measurement of the exact mix.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Advice {
    /// The mix: the parameters of the workload `service`, without the rate.
    pub mix: BTreeMap<String, u64>,
    /// The target for p99 latency.
    pub p99_target_ns: f64,
    /// The runtime of the model to choose; null if none meets the target, or none could be measured.
    pub runtime: Option<String>,
    /// The advice in words, one sentence each: what to take, at what cost, and what would change it.
    pub said: Vec<String>,
}
