//! Counts from a separate run, because counting takes time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Config;

/// One counted process of an arm. It takes part in no comparison.
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
    /// The number of threads that its threads woke.
    pub wakeups: Option<u64>,
    /// Instructions outside the kernel.
    pub instructions: Option<u64>,
    /// The tool that counted: `perf events`, `strace` or `callgrind`.
    pub counted_by: String,
    /// Why a count is missing.
    pub error: Option<String>,
}

impl Count {
    /// The known counts per operation, with their names.
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
