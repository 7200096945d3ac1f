//! Tasks that stay on the worker that begins them.
//!
//! A task with a stack of its own must not move to another thread while it is suspended. Under N:1 and 1:1 none does.
//! A scheduler that moves tasks numbers its workers from 1, and each of its workers [says](set_worker) which one it is.
//! A task that is bound by [`bind_pinnable`](super::bind_pinnable) has a [`Home`]. Before its first poll that is
//! nowhere, and the task can be queued anywhere, and stolen. In its first poll the task [is pinned](Pinned::here). From
//! then on the scheduler queues it for that worker only, and also drops it there.
//!
//! Only the worker's own thread begins and ends its pinned tasks, so their [count](pinned_here) is a plain number of
//! that thread. A worker's thread does not end before the count is zero.

use std::cell::Cell;
use std::marker::PhantomData;

use super::cell;
use crate::primitives::atomic::{AtomicU32, Ordering::Relaxed};
use crate::primitives::thread_local;

/// Where a task is at home.
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
    /// Relaxed: it is written in a poll, and read by whoever wakes the task after that, in the order of the state word.
    #[inline]
    pub fn worker(&self) -> u32 {
        self.0.load(Relaxed)
    }

    /// Whether the task must not be queued for the calling thread.
    #[inline]
    pub fn is_elsewhere(&self) -> bool {
        let worker = self.worker();
        worker != 0 && worker != WORKER.get()
    }
}

thread_local! {
    static WORKER: Cell<u32> = const { Cell::new(0) };
    static PINNED: Cell<usize> = const { Cell::new(0) };
}

/// Which worker the calling thread is, numbered from 1, of a scheduler that moves tasks. 0: it is none.
pub fn set_worker(worker: u32) {
    WORKER.set(worker);
}

/// How many tasks are pinned to the calling thread and have not ended.
#[inline]
pub fn pinned_here() -> usize {
    PINNED.get()
}

/// Counts a task among those that are pinned to its thread, until it is dropped there.
#[derive(Debug)]
pub struct Pinned(PhantomData<*const ()>);

impl Pinned {
    /// Pins the task that the calling thread polls to that thread. `None` if the scheduler moves no tasks.
    ///
    /// # Panics
    /// In a task that can't be pinned, or outside of one, on a thread of a scheduler that moves tasks.
    pub fn here() -> Option<Self> {
        let worker = WORKER.get();
        if worker == 0 {
            return None;
        }
        // SAFETY: who polls a task has a reference on it.
        let home = cell::current().and_then(|header| unsafe { cell::home_of(header) });
        let home = home.expect("a task that is bound by `bind_pinnable`, in its poll");
        home.0.store(worker, Relaxed);
        PINNED.set(PINNED.get() + 1);
        Some(Self(PhantomData))
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // A worker's thread ends after its tasks, and so before its thread-locals.
        PINNED.set(PINNED.get() - 1);
    }
}
