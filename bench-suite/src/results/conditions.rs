//! How the machine was while it measured, and what of that makes figures doubtful.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The machine's state. What the system does not say is null.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Conditions {
    /// Cores that are switched on, whoever may use them.
    pub cores_online: Option<u64>,
    /// Cores in this process's mask: `taskset` and cpusets.
    pub cores_in_mask: Option<u64>,
    /// Cores' worth of time that the control groups give.
    pub cpu_quota_cores: Option<f64>,
    /// What virtual machine it is, or `none`.
    pub virtualization: Option<String>,
    /// What the kernel does against each weakness of the processor.
    pub mitigations: BTreeMap<String, String>,
    /// Who sets the clock rate.
    pub governor: Option<String>,
    /// Whether cores may run faster than their nominal rate.
    pub turbo: Option<bool>,
    /// Huge pages for memory that did not ask for them: `always`, `madvise` or `never`.
    pub transparent_huge_pages: Option<String>,
    /// The measured program's allocator, and the C library that it is from.
    pub allocator: Option<String>,
    /// Runnable threads over the last minute, before measuring.
    pub load_average_before: Option<f64>,
    /// The same after measuring, which adds its own.
    pub load_average_after: Option<f64>,
    /// Share of the cores' time that other virtual machines took, while the machine was warmed.
    pub steal_before: Option<f64>,
    /// The same while it measured.
    pub steal_during: Option<f64>,
    /// Times that the control group's quota stopped this process and its children while it measured.
    pub throttled: Option<u64>,
    /// What makes the figures doubtful, each in a few words; empty if nothing is known.
    pub doubts: Vec<String>,
}
