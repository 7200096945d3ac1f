//! The parameters of one run.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The parameters of one run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Params {
    /// The workload's name, for functions whose type does not determine it.
    pub workload: String,
    /// The runtime's name, for the same functions.
    pub runtime: String,
    /// Worker threads, for runtimes with several.
    pub workers: usize,
    /// The name of the scheduling policy; `None` for the runtime's default.
    pub policy: Option<String>,
    /// Values of single knobs of the policy, by name.
    pub knobs: BTreeMap<String, String>,
    /// Parts of the runtime that are left out.
    #[serde(default)]
    pub without: BTreeSet<String>,
    /// `epoll` or `polling`.
    pub reactor: Option<String>,
    /// The total time of the measured part, in nanoseconds. After that, a workload stops repeating.
    pub budget_ns: u64,
    /// The seed of everything random.
    pub seed: u64,
    /// The workload's own parameters, including defaults.
    pub values: BTreeMap<String, u64>,
}

impl Params {
    /// The value of one of the workload's own parameters.
    ///
    /// # Panics
    /// If the workload did not declare it.
    pub fn value(&self, name: &str) -> u64 {
        *self
            .values
            .get(name)
            .unwrap_or_else(|| panic!("the workload declares no parameter `{name}`"))
    }
}
