//! What a scheduler can and cannot do.

use std::time::Duration;

/// For how long newcomers may overtake a thread whose turn has come. A few times what a wake-up costs: long enough that
/// a running thread takes and releases what is free many times over, and short enough that nobody waits for long.
pub const OVERTAKEN_FOR: Duration = Duration::from_micros(500);

/// What a scheduler can and cannot do. Unlike a name, a program may decide by these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// OS threads on which tasks run; `None` if each task has its own.
    pub workers: Option<usize>,
    /// Two tasks can run at the same instant.
    pub parallel: bool,
    /// A task that computes without a pause is interrupted in favour of the others.
    pub preemptive: bool,
    /// A task may continue on another thread than the one it paused on.
    pub migrates_tasks: bool,
}

impl Capabilities {
    /// For how long newcomers may overtake a task whose turn at a mutex, a semaphore or a queue of
    /// `sync` has come; `None` if none ever does.
    ///
    /// A task with a thread of its own is woken when its turn has come, and what it waits for is left to whoever runs
    /// first: to keep it for a thread that sleeps would cost everybody a switch of threads. If the task runs this long
    /// after it was first woken, or later, and comes in vain, the next release is kept for it. So the bound is this
    /// time, and what the kernel takes to run the task's thread after it. Those who wait never overtake each other.
    pub fn overtaken_for(&self) -> Option<Duration> {
        self.workers.is_none().then_some(OVERTAKEN_FOR)
    }
}
