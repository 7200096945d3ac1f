//! What a scheduler can and cannot do.

use std::time::Duration;

/// How long newcomers may overtake a thread whose turn has come. It is a few times the cost of a wake-up: long enough
/// for a running thread to take and release a free lock many times, and short enough that nobody waits for long.
pub const OVERTAKEN_FOR: Duration = Duration::from_micros(500);

/// What a scheduler can and cannot do. A program should decide by these properties, and not by the scheduler's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// The number of OS threads on which tasks run; `None` if each task has its own.
    pub workers: Option<usize>,
    /// Two tasks can run at the same instant.
    pub parallel: bool,
    /// A task that computes without a pause is interrupted so that others can run.
    pub preemptive: bool,
    /// A task may continue on a different thread after a suspension.
    pub migrates_tasks: bool,
}

impl Capabilities {
    /// How long newcomers may overtake a task whose turn at a mutex, a semaphore or a queue of `sync` has come; `None`
    /// if they never do.
    ///
    /// A task with its own thread is woken when its turn has come, but whichever thread runs first may take what it
    /// waits for: reserving it for a sleeping thread would cost all tasks a thread switch. If the task runs this long
    /// or longer after it was first woken, and finds nothing, the next release is reserved for it. The bound is
    /// therefore this time, plus the time that the kernel then takes to run the task's thread. Waiters never overtake
    /// each other.
    pub fn overtaken_for(&self) -> Option<Duration> {
        self.workers.is_none().then_some(OVERTAKEN_FOR)
    }
}
