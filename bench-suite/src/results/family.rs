//! The question for each workload: enough to recompute the comparisons from the runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Config;

/// A workload with one set of parameters, and how its arms are compared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Family {
    /// The workload's name.
    pub workload: String,
    /// The workload's parameters.
    pub params: BTreeMap<String, u64>,
    /// The workload's own metric.
    pub metric: String,
    /// The margin of equivalence, as ratio - 1.
    pub margin: f64,
    /// The baselines, the common one first. Each was measured twice; the second time as its A/A arm.
    pub baselines: Vec<ArmName>,
    /// If not empty, the best of these is the common baseline.
    pub best_of: Vec<ArmName>,
    /// The looks at which verdicts are given; null if none were sought.
    pub looks: Option<Vec<LookAt>>,
}

/// Distinguishes an arm from the others: its runtime, and what was requested.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmName {
    /// The runtime's name.
    pub runtime: String,
    /// The requested part of its configuration.
    pub config: Config,
}

/// A look at the data.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LookAt {
    /// The number of rounds that the look includes.
    pub rounds: u32,
    /// The look's share of the error rate.
    pub share: f64,
}
