//! What was counted in a run of its own, as counting takes time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Config;

/// One counted process of an arm. It is in no comparison.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Count {
    /// The workload's name.
    pub workload: String,
    /// The workload's parameters.
    pub params: BTreeMap<String, u64>,
    /// The runtime's name.
    pub runtime: String,
    /// The runtime's configuration.
    pub config: Config,
    /// Operations in the counted part.
    pub ops: u64,
    /// System calls of all its threads.
    pub syscalls: Option<u64>,
    /// Threads that its threads woke.
    pub wakeups: Option<u64>,
    /// Instructions outside of the kernel.
    pub instructions: Option<u64>,
    /// What counted: `perf events` or `callgrind`.
    pub counted_by: String,
    /// Why something is null.
    pub error: Option<String>,
}

impl Count {
    /// The counts that there are, divided by the operations, with their names.
    pub fn per_op(&self) -> Vec<(String, f64)> {
        let counts = [
            ("syscalls_per_op", self.syscalls),
            ("wakeups_per_op", self.wakeups),
            ("instructions_per_op", self.instructions),
        ];
        counts
            .into_iter()
            .filter(|_| self.ops > 0)
            .filter_map(|(name, count)| Some((name.to_owned(), count? as f64 / self.ops as f64)))
            .collect()
    }
}
