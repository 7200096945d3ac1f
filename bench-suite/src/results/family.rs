//! What was asked of each workload: enough to compute the comparisons again from the runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Config;

/// A workload with one set of parameters, and what its arms are compared with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Family {
    /// The workload's name.
    pub workload: String,
    /// The workload's parameters.
    pub params: BTreeMap<String, u64>,
    /// The workload's own metric.
    pub metric: String,
    /// Of equivalence, as ratio - 1.
    pub margin: f64,
    /// The arms that others are compared with, that of all first. Each was measured once more, as its A/A arm.
    pub baselines: Vec<ArmName>,
    /// If there are any, the best of these is the baseline of all.
    pub best_of: Vec<ArmName>,
    /// The looks at the data that verdicts are given at; null where none were sought.
    pub looks: Option<Vec<LookAt>>,
}

/// What tells an arm from the others: its runtime and what was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmName {
    /// The runtime's name.
    pub runtime: String,
    /// Of this, what was asked for.
    pub config: Config,
}

/// A look at the data.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LookAt {
    /// Rounds before this one count.
    pub rounds: u32,
    /// Its share of the error rate.
    pub share: f64,
}
