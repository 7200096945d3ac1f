//! The request, from any of the commands, and its defaults.

use crate::cli::{CompareArgs, SweepArgs};
use crate::compare::effort::Effort;

/// Bare `lab compare`: four IO-bound and four CPU-bound workloads.
const DEFAULT_WORKLOADS: [&str; 8] = [
    "echo",
    "http",
    "crawl",
    "download",
    "fib-spawn",
    "skynet-spawn",
    "matmul",
    "hash",
];
/// Sizes for bare `lab compare`, where the usual sizes would cost too many rounds. A family of twelve comparisons needs
/// at least nine rounds to be decided.
const DEFAULT_SIZES: [(&str, u64); 5] = [
    ("crawl", 250),
    ("download", 200),
    ("fib-spawn", 14),
    ("matmul", 160),
    ("hash", 4),
];
const DEFAULT_RUNTIMES: [&str; 4] = ["n1", "mn", "threads", "tokio-mt"];
/// The default of `lab sweep`: the workloads that depend most on scheduling decisions.
const SWEEP_WORKLOADS: [&str; 4] = ["echo", "spawn-batch", "yield", "pingpong"];
const SWEEP_RUNTIMES: [&str; 1] = ["mn"];

/// The request as written, from any command.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(in crate::compare) workloads: Vec<String>,
    /// Measured if the user names no workload.
    pub(super) default_workloads: &'static [&'static str],
    /// The parameter `size` for those, if it differs from the workload's default.
    pub(super) default_sizes: &'static [(&'static str, u64)],
    pub(super) runtimes: Vec<String>,
    /// Measured if the user names no runtime.
    pub(super) default_runtimes: &'static [&'static str],
    pub(super) workers: Vec<usize>,
    pub(super) size: Option<String>,
    pub(super) params: Vec<String>,
    pub(super) policies: Vec<String>,
    pub(super) knobs: Vec<String>,
    pub(super) baseline: Option<String>,
    pub(super) binaries: Vec<String>,
    /// Sets of parts to leave out. Each set is one arm.
    pub(super) without: Vec<String>,
    /// Whether the matrix of parts was requested.
    pub(super) ablate: bool,
    pub(super) seed: Option<u64>,
    pub(crate) effort: Effort,
    pub(super) sweep: bool,
}

impl From<&CompareArgs> for Asked {
    fn from(arguments: &CompareArgs) -> Self {
        Self {
            workloads: arguments.workloads.clone(),
            default_workloads: &DEFAULT_WORKLOADS,
            default_sizes: if arguments.workloads.is_empty() {
                &DEFAULT_SIZES
            } else {
                &[]
            },
            runtimes: arguments.arms.runtimes.clone(),
            default_runtimes: &DEFAULT_RUNTIMES,
            workers: arguments.arms.workers.into_iter().collect(),
            size: arguments.size.clone(),
            params: arguments.arms.params.clone(),
            policies: arguments.arms.policies.clone(),
            knobs: arguments.arms.knobs.clone(),
            baseline: arguments.arms.baseline.clone(),
            binaries: arguments.binaries.clone(),
            without: arguments.without.clone(),
            ablate: false,
            seed: arguments.keep.seed,
            effort: Effort::of_comparison(arguments),
            sweep: false,
        }
    }
}

impl From<&SweepArgs> for Asked {
    fn from(arguments: &SweepArgs) -> Self {
        Self {
            workloads: [&arguments.workloads[..], &arguments.more_workloads].concat(),
            default_workloads: &SWEEP_WORKLOADS,
            default_sizes: &[],
            runtimes: arguments.runtimes.clone(),
            default_runtimes: &SWEEP_RUNTIMES,
            workers: arguments.workers.clone(),
            size: arguments.size.clone(),
            params: arguments.params.clone(),
            policies: arguments.policies.clone(),
            knobs: arguments.knobs.clone(),
            baseline: None,
            binaries: Vec::new(),
            without: Vec::new(),
            ablate: arguments.ablate,
            seed: arguments.keep.seed,
            effort: Effort::of_sweep(arguments),
            sweep: true,
        }
    }
}
