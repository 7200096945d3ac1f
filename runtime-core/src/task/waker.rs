//! A task's waker: one pointer to its header, and one reference.
#![allow(unsafe_code)]

use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::cell::{self, Header};

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop);

/// A waker without a reference of its own.
///
/// # Safety
/// The header outlives it.
pub(super) unsafe fn borrowed(header: NonNull<Header>) -> ManuallyDrop<Waker> {
    // SAFETY: the table's functions are for pointers to headers, and keep the rules of `RawWaker`: they may be called from any
    // thread. It is not dropped, so it gives up no reference.
    ManuallyDrop::new(unsafe { Waker::new(header.as_ptr().cast(), &VTABLE) })
}

/// True if `waker` wakes this very task, and not something in between.
pub(super) fn is_of(waker: &Waker, header: *const Header) -> bool {
    waker.data() == header.cast() && std::ptr::eq(waker.vtable(), &VTABLE)
}

// The data of a waker with this table is a pointer to a header (`borrowed`). A cloned waker has a reference of its own, a borrowed
// one is covered by its poller's.

unsafe fn header(data: *const ()) -> NonNull<Header> {
    // SAFETY: the data of a waker is never null.
    unsafe { NonNull::new_unchecked(data.cast::<Header>().cast_mut()) }
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: alive by the waker's reference.
    unsafe { header(data).as_ref() }.state.retain();
    RawWaker::new(data, &VTABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: alive by the waker's reference.
    unsafe { cell::wake(header(data)) };
    // SAFETY: the waker's own reference, given up once.
    unsafe { cell::release(header(data)) };
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: alive by the waker's reference.
    unsafe { cell::wake(header(data)) };
}

unsafe fn drop(data: *const ()) {
    // SAFETY: the waker's own reference, given up once.
    unsafe { cell::release(header(data)) };
}
