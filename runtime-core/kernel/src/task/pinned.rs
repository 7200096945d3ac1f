//! Tasks that are pinned to a thread: see [`home`].
#![allow(unsafe_code)]

use std::cell::Cell;
use std::io;
use std::marker::PhantomData;

use super::cell::{current_header, home_of};
use super::ends_with::end_current_with;
use super::scheduler_ref::SchedulerRef;
use super::{error::JoinError, home};
use crate::primitives::thread_local;

thread_local! {
    static PINNED: Cell<usize> = const { Cell::new(0) };
}

/// The number of tasks that are pinned to the calling thread and have not ended.
#[inline]
pub fn pinned_here() -> usize {
    PINNED.get()
}

/// Counts a task as pinned to its thread, until this is dropped there.
#[derive(Debug)]
pub struct Pinned(PhantomData<*const ()>);

impl Pinned {
    /// Pins the task that the calling thread polls to that thread. `None` if its scheduler moves no tasks. Does not
    /// return if the worker [pins none](home::pins_none): it ends the task with
    /// [`SpawnFailed`](JoinError::SpawnFailed), of kind `Unsupported`.
    ///
    /// # Panics
    /// On a thread of a scheduler that moves tasks: in a task that can't be pinned, or outside a task.
    pub fn here() -> Option<Self> {
        let worker = home::worker_here();
        if worker == 0 {
            return None;
        }
        let header = current_header().expect("in the poll of a task");
        // SAFETY: a thread that polls a task has a reference to it.
        if !SchedulerRef::is_served_here(unsafe { header.as_ref() }.state.scheduler()) {
            // The task belongs to another scheduler, and this worker need not wait for it.
            return None;
        }
        if worker == home::PINS_NONE {
            end_current_with(JoinError::SpawnFailed(io::Error::new(
                io::ErrorKind::Unsupported,
                "this runtime moves tasks between its workers, and goes without what pins one (mn: the part \
                 `pinned-tasks`): a task with a stack of its own can't run here",
            )));
        }
        // SAFETY: as above.
        let home = unsafe { home_of(header) }.expect("a task that is bound by `bind_pinnable`");
        home.set(worker);
        PINNED.set(PINNED.get() + 1);
        Some(Self(PhantomData))
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // A worker's thread ends after its pinned tasks, and destroys its thread-locals only then.
        PINNED.set(PINNED.get() - 1);
    }
}
