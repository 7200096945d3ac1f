//! The figures in their stored form.

use std::collections::BTreeMap;

use serde::Serialize;

use super::task_state::TaskState;
use crate::results::Environment;

/// Numbers of tasks where each has a thread or a connection, and where each is a piece of heap.
pub(super) const FEW_TASKS: [u64; 3] = [1000, 2000, 4000];
pub(super) const MANY_TASKS: [u64; 3] = [10_000, 20_000, 40_000];

/// A runtime with its tasks in one state.
#[derive(Debug, Serialize)]
pub(super) struct Figure {
    pub(super) runtime: String,
    pub(super) state: TaskState,
    pub(super) tasks: Vec<u64>,
    /// The bytes of each known part.
    pub(super) bytes_per_task: BTreeMap<&'static str, Bytes>,
    /// All measured processes: the number of tasks, and the growth of each part.
    pub(super) processes: Vec<(u64, BTreeMap<&'static str, f64>)>,
    /// For green tasks, from the last process: how many stacks went how deep, from the shallowest on.
    pub(super) stack_depths: Vec<(&'static str, u64)>,
    /// Why figures are missing.
    pub(super) error: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Bytes {
    pub(super) estimate: f64,
    pub(super) ci95: Option<[f64; 2]>,
}

#[derive(Debug, Serialize)]
pub(super) struct Measured {
    pub(super) schema: &'static str,
    pub(super) environment: Environment,
    pub(super) rounds: u32,
    /// Whose kernel memory was measured: `control group` or `machine`.
    pub(super) kernel_part_of: &'static str,
    pub(super) figures: Vec<Figure>,
}
