//! What one run is made with.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The values that one run is made with.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Params {
    /// The workload's name, where a function is not told by its type.
    pub workload: String,
    /// The runtime's name, likewise.
    pub runtime: String,
    /// Worker threads where there are several.
    pub workers: usize,
    /// The scheduling policy by name, or the runtime's default.
    pub policy: Option<String>,
    /// Single decisions of the policy, by name.
    pub knobs: BTreeMap<String, String>,
    /// Parts of the runtime that are left out.
    #[serde(default)]
    pub without: BTreeSet<String>,
    /// `epoll` or `polling`.
    pub reactor: Option<String>,
    /// How long the measured part may take in all, in nanoseconds; a workload stops repeating when it is over.
    pub budget_ns: u64,
    /// Seed of all that is random.
    pub seed: u64,
    /// The workload's own parameters, each of them present.
    pub values: BTreeMap<String, u64>,
}

impl Params {
    /// The value of one of the workload's own parameters.
    ///
    /// # Panics
    /// When the workload did not declare it.
    pub fn value(&self, name: &str) -> u64 {
        *self
            .values
            .get(name)
            .unwrap_or_else(|| panic!("the workload declares no parameter `{name}`"))
    }
}
