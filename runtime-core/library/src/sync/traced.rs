//! What the recorder is told about waits and locks. Each call is a branch while nothing records.

use std::ptr;
use std::task::Poll;

pub(super) use runtime_kernel::trace::Primitive;
use runtime_kernel::trace::{Fact, note};

/// What a primitive is known by.
fn address<T: ?Sized>(primitive: &T) -> usize {
    ptr::from_ref(primitive).cast::<()>().addr()
}

/// The calling task waits, if that is what its poll came to.
#[inline(always)]
pub(super) fn noting_wait<T: ?Sized, R>(kind: Primitive, of: &T, polled: Poll<R>) -> Poll<R> {
    if polled.is_pending() {
        note(Fact::LockWaits(kind, address(of)));
    }
    polled
}

/// The calling task got it.
#[inline(always)]
pub(super) fn note_got<T: ?Sized>(kind: Primitive, of: &T) {
    note(Fact::LockGot(kind, address(of)));
}

/// The calling task gives it back.
#[inline(always)]
pub(super) fn note_released<T: ?Sized>(kind: Primitive, of: &T) {
    note(Fact::LockReleased(kind, address(of)));
}
