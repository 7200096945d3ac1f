//! A task's waker: one pointer to its header, and one reference.
#![allow(unsafe_code)]

use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::cell::{self, Header};
use super::current::{current, set_yielded_if};

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop);

/// A waker without its own reference.
///
/// # Safety
/// The header outlives it.
pub(super) unsafe fn borrowed(header: NonNull<Header>) -> ManuallyDrop<Waker> {
    // SAFETY: the table's functions are for pointers to headers, and obey the rules of `RawWaker`: any thread may call
    // them. It is not dropped, so it gives up no reference.
    ManuallyDrop::new(unsafe { Waker::new(header.as_ptr().cast(), &VTABLE) })
}

/// True if `waker` wakes this very task directly.
pub(super) fn is_of(waker: &Waker, header: *const Header) -> bool {
    waker.data() == header.cast() && std::ptr::eq(waker.vtable(), &VTABLE)
}

/// True if `waker` is a task's: cloning it only counts, and runs no foreign code.
#[inline]
pub fn is_a_tasks(waker: &Waker) -> bool {
    ptr::eq(waker.vtable(), &VTABLE)
}

/// The header of the task that `waker` wakes, if it is a task's waker.
#[inline]
pub(super) fn task_of(waker: &Waker) -> Option<NonNull<Header>> {
    // SAFETY: it is a task's waker.
    is_a_tasks(waker).then(|| unsafe { header(waker.data()) })
}

/// Whether `waker` is that of the task that the calling thread polls, and not a combinator's or another executor's.
pub fn is_own_waker(waker: &Waker) -> bool {
    current().is_some_and(|header| is_of(waker, header.cast().as_ptr()))
}

/// Marks the calling thread's task as yielding, if `waker` is that task's own. Its poller then queues it again, which
/// saves changes of the state word. A waker in between (a join's or a select's) must really be woken, or the part of
/// the task that yielded would not be polled again.
pub(super) fn yield_current(waker: &Waker) -> bool {
    set_yielded_if(|task| is_of(waker, task.cast()))
}

// The data of a waker with this table is a pointer to a header (`borrowed`). A cloned waker has its own reference; a
// borrowed one is covered by its poller's.

/// # Safety
/// `data` belongs to a waker with this table.
unsafe fn header(data: *const ()) -> NonNull<Header> {
    // SAFETY: the data of a waker is never null.
    unsafe { NonNull::new_unchecked(data.cast::<Header>().cast_mut()) }
}

/// # Safety
/// `data` belongs to a waker with this table, which outlives the call.
unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: the waker has a reference.
    unsafe { cell::retain(header(data)) };
    RawWaker::new(data, &VTABLE)
}

/// # Safety
/// `data` belongs to a waker with this table, and owns a reference, which ends with this call.
unsafe fn wake(data: *const ()) {
    // SAFETY: the waker's own reference, given up once.
    unsafe { cell::wake_and_release(header(data)) };
}

/// # Safety
/// `data` belongs to a waker with this table, which outlives the call.
unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: alive by the waker's reference.
    unsafe { cell::wake(header(data)) };
}

/// # Safety
/// `data` belongs to a waker with this table, and owns a reference, which ends with this call.
unsafe fn drop(data: *const ()) {
    // SAFETY: the waker's own reference, given up once.
    unsafe { cell::release(header(data)) };
}
