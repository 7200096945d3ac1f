//! The state of the machine during the measurement, and what makes the figures doubtful.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The machine's state. What the system does not report is null.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Conditions {
    /// Cores that are online, whoever may use them.
    pub cores_online: Option<u64>,
    /// Cores in this process's mask: `taskset` and cpusets.
    pub cores_in_mask: Option<u64>,
    /// The CPU quota of the control groups, in cores.
    pub cpu_quota_cores: Option<f64>,
    /// The kind of virtual machine, or `none`.
    pub virtualization: Option<String>,
    /// The kernel's mitigation for each processor vulnerability.
    pub mitigations: BTreeMap<String, String>,
    /// The frequency governor.
    pub governor: Option<String>,
    /// Whether cores may exceed their nominal frequency.
    pub turbo: Option<bool>,
    /// Huge pages for memory that does not request them: `always`, `madvise` or `never`.
    pub transparent_huge_pages: Option<String>,
    /// The measured program's allocator, and the C library that provides it.
    pub allocator: Option<String>,
    /// Runnable threads over the last minute before measuring.
    pub load_average_before: Option<f64>,
    /// The same after measuring, including the measurement's own threads.
    pub load_average_after: Option<f64>,
    /// The share of CPU time that other virtual machines took during warm-up.
    pub steal_before: Option<f64>,
    /// The same during the measurement.
    pub steal_during: Option<f64>,
    /// How often the control group's quota stopped this process and its children during the measurement.
    pub throttled: Option<u64>,
    /// Reasons to doubt the figures, in a few words each; empty if none are known.
    pub doubts: Vec<String>,
}
