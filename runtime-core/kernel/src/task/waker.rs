//! A task's waker: one pointer to its header, and one reference. And the waker of whoever awaits a task, in one word.
#![allow(unsafe_code)]

use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::cell::{self, Header};
use crate::contain::discard;
use crate::saved_waker::SavedWaker;

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop);

/// A waker without a reference of its own.
///
/// # Safety
/// The header outlives it.
pub(super) unsafe fn borrowed(header: NonNull<Header>) -> ManuallyDrop<Waker> {
    // SAFETY: the table's functions are for pointers to headers, and keep the rules of `RawWaker`: they may be called
    // from any thread. It is not dropped, so it gives up no reference.
    ManuallyDrop::new(unsafe { Waker::new(header.as_ptr().cast(), &VTABLE) })
}

/// True if `waker` wakes this very task, and not something in between.
pub(super) fn is_of(waker: &Waker, header: *const Header) -> bool {
    waker.data() == header.cast() && std::ptr::eq(waker.vtable(), &VTABLE)
}

/// True if `waker` is a task's: its clone is a count, and runs no code but ours.
#[inline]
pub fn is_a_tasks(waker: &Waker) -> bool {
    ptr::eq(waker.vtable(), &VTABLE)
}

/// The waker of whoever awaits a task, or none. Nearly always that is a task too, whose waker is known by its header
/// alone; any other is boxed.
pub(super) struct JoinWaker(*const ());

/// Marks a pointer to a box; a header's lowest bit is 0.
const BOXED: usize = 1;

impl JoinWaker {
    pub(super) const NONE: Self = Self(ptr::null());

    #[inline]
    pub(super) fn of(waker: &Waker) -> Self {
        if ptr::eq(waker.vtable(), &VTABLE) {
            // SAFETY: the waker has a reference.
            unsafe { cell::retain(header(waker.data())) };
            Self(waker.data())
        } else {
            Self::boxed(waker)
        }
    }

    #[cold]
    fn boxed(waker: &Waker) -> Self {
        let boxed = Box::into_raw(Box::new(SavedWaker::of(waker)));
        Self(
            boxed
                .map_addr(|address| address | BOXED)
                .cast_const()
                .cast(),
        )
    }

    /// The waker in its box, if it is in one.
    #[inline]
    fn in_box(&self) -> Option<NonNull<SavedWaker>> {
        let is_boxed = self.0.addr() & BOXED != 0;
        // SAFETY: a pointer to a box, which is not null.
        is_boxed.then(|| unsafe {
            NonNull::new_unchecked(self.0.cast::<SavedWaker>().byte_sub(BOXED).cast_mut())
        })
    }

    /// Wakes whoever awaits: the task has ended.
    #[inline]
    pub(super) fn wake_at_end(&self) {
        if let Some(waker) = self.in_box() {
            // SAFETY: the box is ours.
            unsafe { waker.as_ref() }.wake_by_ref();
        } else if !self.0.is_null() {
            // SAFETY: a header, alive by our reference.
            unsafe { cell::wake_to_run(header(self.0)) };
        }
    }

    /// Out of line: most tasks are never awaited before they end.
    ///
    /// SAFETY: it is not `NONE`, and not used again.
    #[inline(never)]
    unsafe fn let_go(&mut self) {
        match self.in_box() {
            // Its destructor is the user's, and whoever drops it is in the middle of something.
            // SAFETY: the box is ours.
            Some(waker) => discard(unsafe { Box::from_raw(waker.as_ptr()) }),
            // SAFETY: a header, and our reference.
            None => unsafe { cell::release(header(self.0)) },
        }
    }

    /// The task, if it is one, and the reference on it.
    #[inline]
    pub(super) fn into_task(self) -> Option<NonNull<Header>> {
        if self.0.is_null() || self.in_box().is_some() {
            return None;
        }
        let this = ManuallyDrop::new(self);
        NonNull::new(this.0.cast::<Header>().cast_mut())
    }

    pub(super) fn will_wake(&self, waker: &Waker) -> bool {
        match self.in_box() {
            // SAFETY: the box is ours.
            Some(own) => unsafe { own.as_ref() }.will_wake(waker),
            None => is_of(waker, self.0.cast()),
        }
    }
}

impl Drop for JoinWaker {
    #[inline]
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: it is not used again.
            unsafe { self.let_go() };
        }
    }
}

// The data of a waker with this table is a pointer to a header (`borrowed`). A cloned waker has a reference of its
// own, a borrowed one is covered by its poller's.

unsafe fn header(data: *const ()) -> NonNull<Header> {
    // SAFETY: the data of a waker is never null.
    unsafe { NonNull::new_unchecked(data.cast::<Header>().cast_mut()) }
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: the waker has a reference.
    unsafe { cell::retain(header(data)) };
    RawWaker::new(data, &VTABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: the waker's own reference, given up once.
    unsafe { cell::wake_and_release(header(data)) };
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: alive by the waker's reference.
    unsafe { cell::wake(header(data)) };
}

unsafe fn drop(data: *const ()) {
    // SAFETY: the waker's own reference, given up once.
    unsafe { cell::release(header(data)) };
}
