//! Tasks that stay on the worker that started them.
//!
//! A task with its own stack must not move to another thread while it is suspended. Under N:1 and 1:1 no task moves. A
//! scheduler that moves tasks numbers its workers from 1. Each worker [says](set_worker) which one it is, or that it
//! [pins none](pins_none): on the latter, a task that must be pinned ends with an error. A task that is bound by
//! [`bind_pinnable`](super::bind_pinnable) has a [`Home`]. Before its first poll it has none, so it can be queued
//! anywhere, and stolen. In its first poll the task [is pinned](Pinned::here). From then on the scheduler queues it
//! for that worker only, and also drops it there.
//!
//! Only the worker's own thread begins and ends its pinned tasks, so their [count](pinned_here) is a plain number of
//! that thread. A worker's thread does not end before the count is zero.

use std::cell::Cell;

use crate::primitives::atomic::{AtomicU32, Ordering::Relaxed};
use crate::primitives::thread_local;

pub use super::pinned::{Pinned, pinned_here};

/// A task's home.
#[derive(Debug)]
pub struct Home(AtomicU32);

impl Default for Home {
    fn default() -> Self {
        Self(AtomicU32::new(0))
    }
}

impl Home {
    /// The worker that the task must be queued for; 0: any.
    ///
    /// Relaxed: it is written in a poll, and read by a thread that wakes the task later. The state word orders both.
    #[inline]
    pub fn worker(&self) -> u32 {
        self.0.load(Relaxed)
    }

    /// From now on the task's home is that worker.
    pub(super) fn set(&self, worker: u32) {
        self.0.store(worker, Relaxed);
    }
}

thread_local! {
    static WORKER: Cell<u32> = const { Cell::new(0) };
}

/// Sets which worker the calling thread is, of a scheduler that moves tasks. Workers are numbered from 1; 0: it is
/// none.
pub fn set_worker(worker: u32) {
    WORKER.set(worker);
}

/// Until [`come_back`], the calling thread is not a worker: it runs something that its worker does not wait for.
pub fn leave() -> u32 {
    WORKER.replace(0)
}

/// The thread is again the worker that [`leave`] returned.
pub fn come_back(worker: u32) {
    WORKER.set(worker);
}

/// A worker that pins no tasks.
pub(super) const PINS_NONE: u32 = u32::MAX;

/// Marks the calling thread as a worker of a scheduler that moves tasks and pins none.
pub fn pins_none() {
    WORKER.set(PINS_NONE);
}

/// The worker that the calling thread is; 0: it is none.
pub(super) fn worker_here() -> u32 {
    WORKER.get()
}
