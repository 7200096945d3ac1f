//! What a run costs beyond time: system calls, wake-ups and instructions.
//!
//! Counting takes time, so that it is done in a process of its own, whose times are not kept. The kernel's performance
//! events count where the system allows it (`perf_event_open`: root, or a low `kernel.perf_event_paranoid` and
//! readable tracepoints); else `strace` counts system calls. Where the processor has no counter of instructions, as
//! in most virtual machines, callgrind counts them for arms with one thread.

pub(crate) mod callgrind;
pub(crate) mod events;
pub(crate) mod strace;

use serde::{Deserialize, Serialize};

/// What was counted in the timed parts of one process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// System calls.
    pub syscalls: Option<u64>,
    /// Threads that its threads woke.
    pub wakeups: Option<u64>,
    /// Instructions outside of the kernel.
    pub instructions: Option<u64>,
    /// Why something is null.
    pub error: Option<String>,
}
