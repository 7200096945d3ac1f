//! The LIFO slot.
#![allow(unsafe_code)]

use std::ptr::{self, NonNull};

use runtime_core::primitives::atomic::{
    AtomicPtr,
    Ordering::{AcqRel, Relaxed, Release},
};
use runtime_core::task::Task;

/// The LIFO slot: the task that was woken last and runs next. Usually its worker takes it. A thief may take it on its
/// last pass, so that the task does not starve behind a long poll.
#[derive(Default)]
pub(crate) struct Slot(AtomicPtr<()>);

impl Slot {
    /// Puts in a task and returns the previous one. Only its worker may call this.
    #[inline]
    pub(crate) fn put(&self, task: Task) -> Option<Task> {
        let task = task.into_raw().as_ptr();
        if !self.is_filled() {
            // Others only ever empty it, so it stays empty until we write, and no exchange is needed. Release:
            // publishes what the task's waker wrote, as a queue does; pairs with the swap in `take`.
            self.0.store(task, Release);
            return None;
        }
        // AcqRel: publishes the same, and acquires the previous task.
        Self::task(self.0.swap(task, AcqRel))
    }

    #[inline]
    pub(crate) fn take(&self) -> Option<Task> {
        // The common case is an empty slot, which needs no write.
        if !self.is_filled() {
            return None;
        }
        Self::task(self.0.swap(ptr::null_mut(), AcqRel))
    }

    #[inline]
    pub(crate) fn is_filled(&self) -> bool {
        !self.0.load(Relaxed).is_null()
    }

    fn task(raw: *mut ()) -> Option<Task> {
        // SAFETY: only `put` stores pointers, and a swap takes each of them out once.
        NonNull::new(raw).map(|raw| unsafe { Task::from_raw(raw) })
    }
}
