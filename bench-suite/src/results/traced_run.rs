//! The result of a short traced run of an arm.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Config;
use crate::trace::Excerpt;

/// One traced process of an arm. It takes part in no comparison, because recording takes time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TracedRun {
    /// The workload's name.
    pub workload: String,
    /// The workload's parameters.
    pub params: BTreeMap<String, u64>,
    /// The runtime's name.
    pub runtime: String,
    /// The runtime's configuration.
    pub config: Config,
    /// What was recorded; null if that failed.
    pub excerpt: Option<Excerpt>,
    /// Why it is null.
    pub error: Option<String>,
}
