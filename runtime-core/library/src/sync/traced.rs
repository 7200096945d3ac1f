//! What the recorder learns about waits and locks. While nothing records, each call is only a branch. The rest is out
//! of line, because these hooks are in small functions, which would otherwise not be inlined.

use std::ptr;
use std::task::Poll;

pub(super) use runtime_kernel::trace::Primitive;
use runtime_kernel::trace::{Fact, is_on, note};

/// The address by which a primitive is identified.
fn address<T: ?Sized>(primitive: &T) -> usize {
    ptr::from_ref(primitive).cast::<()>().addr()
}

/// Records that the calling task waits, if its poll returned `Pending`.
#[inline(always)]
pub(super) fn noting_wait<T: ?Sized, R>(kind: Primitive, of: &T, polled: Poll<R>) -> Poll<R> {
    if polled.is_pending() {
        note_waits(kind, of);
    }
    polled
}

/// Records that the calling task waits.
#[inline(always)]
pub(super) fn note_waits<T: ?Sized>(kind: Primitive, of: &T) {
    if is_on() {
        say_waits(kind, address(of));
    }
}

/// Records that the calling task got it.
#[inline(always)]
pub(super) fn note_got<T: ?Sized>(kind: Primitive, of: &T) {
    if is_on() {
        say_got(kind, address(of));
    }
}

/// Records that the calling task gives it back.
#[inline(always)]
pub(super) fn note_released<T: ?Sized>(kind: Primitive, of: &T) {
    if is_on() {
        say_released(kind, address(of));
    }
}

#[cold]
#[inline(never)]
fn say_waits(kind: Primitive, address: usize) {
    note(Fact::LockWaits(kind, address));
}

#[cold]
#[inline(never)]
fn say_got(kind: Primitive, address: usize) {
    note(Fact::LockGot(kind, address));
}

#[cold]
#[inline(never)]
fn say_released(kind: Primitive, address: usize) {
    note(Fact::LockReleased(kind, address));
}
