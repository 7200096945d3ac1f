//! What a run costs beyond time: system calls, wake-ups and instructions.
//!
//! Counting takes time, so it happens in a separate process whose times are discarded. If the system allows it, the
//! kernel's performance events count (`perf_event_open`: for root, or with a low `kernel.perf_event_paranoid` and
//! readable tracepoints). Otherwise `strace` counts system calls. If the processor has no instruction counter, as in
//! most virtual machines, callgrind counts instructions for arms with one thread.

pub(crate) mod callgrind;
pub(crate) mod events;
pub(crate) mod strace;

use serde::{Deserialize, Serialize};

/// What was counted in the timed parts of one process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// System calls.
    pub syscalls: Option<u64>,
    /// The number of threads that its threads woke.
    pub wakeups: Option<u64>,
    /// Instructions outside the kernel.
    pub instructions: Option<u64>,
    /// Why a count is missing.
    pub error: Option<String>,
}
