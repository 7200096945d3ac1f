//! The task that a thread polls: which one it is, whether it has yielded, and how many of the poller's prepaid
//! references it uses.
//!
//! It is known by its address here, so that code below the task cell, such as the recorder, can ask which task is
//! polled.

use std::cell::Cell;
use std::ptr::{self, NonNull};

use super::state::PREPAID;
use crate::primitives::thread_local;

/// A thread's innermost poll.
#[derive(Clone, Copy)]
pub(super) struct Current {
    /// The task's header; null outside a task.
    task: *const (),
    /// The number of the poller's prepaid references that are in use.
    pub(super) taken: i32,
    /// Not 0: the task asked to be queued behind the others. A number makes the struct two whole words: with a `bool`,
    /// each poll copied the padding piece by piece and checked the `bool`.
    yielded: u32,
}

impl Current {
    pub(super) const fn of<H>(header: *const H) -> Self {
        Self {
            task: header.cast(),
            taken: 0,
            yielded: 0,
        }
    }

    /// Whether the task asked to be queued behind the others.
    #[inline]
    pub(super) fn has_yielded(self) -> bool {
        self.yielded != 0
    }

    /// Whether this is the poll of the task with that header.
    #[inline]
    pub(super) fn is_of<H>(self, header: *const H) -> bool {
        ptr::eq(self.task, header.cast())
    }
}

thread_local! {
    pub(super) static CURRENT: Cell<Current> = const { Cell::new(Current::of::<()>(ptr::null())) };
}

/// The header of the innermost task that this thread polls.
#[inline]
pub(super) fn current() -> Option<NonNull<()>> {
    NonNull::new(CURRENT.get().task.cast_mut())
}

/// Like [`current`], on a thread whose thread-locals may be gone.
#[inline]
pub(super) fn try_current() -> Option<NonNull<()>> {
    CURRENT
        .try_with(|cell| NonNull::new(cell.get().task.cast_mut()))
        .ok()
        .flatten()
}

/// Queues the task that this thread polls behind the others after its poll, if `is_asking` returns true for its
/// header. False if not, or outside a task.
#[inline]
pub(super) fn set_yielded_if(is_asking: impl FnOnce(*const ()) -> bool) -> bool {
    CURRENT.with(|cell| {
        let current = cell.get();
        let asks = !current.task.is_null() && is_asking(current.task);
        if asks {
            cell.set(Current {
                yielded: 1,
                ..current
            });
        }
        asks
    })
}

/// Counts references that were taken or given back among the prepaid references of the calling thread's poll. False if
/// the thread polls another task, or if the prepaid references are used up.
#[inline]
pub(super) fn count_in_prepaid<H>(header: NonNull<H>, change: i32) -> bool {
    // A waker may be dropped after the thread-locals are destroyed.
    CURRENT
        .try_with(|cell| {
            let current = cell.get();
            let taken = current.taken + change;
            let counts = current.is_of(header.as_ptr()) && taken.abs() < PREPAID;
            if counts {
                cell.set(Current { taken, ..current });
            }
            counts
        })
        .unwrap_or(false)
}
