//! The handle's side of a task's cell: taking the output, waiting for it, and doing without it.
#![allow(unsafe_code)]

use std::mem::{self, MaybeUninit};
use std::ptr::NonNull;
use std::task::{Poll, Waker};

use super::{Header, Outcome, release};
use crate::task::state::{COMPLETE, JOIN_WAKER};
use crate::task::waker::JoinWaker;
use crate::task::{JoinError, TaskId};
use crate::task_list::{self, Awaited};
use crate::trace::{self, Fact};

/// The join handle's poll: the outcome, or `waker` is kept to be woken at the end.
///
/// # Safety
/// The caller is the one handle, `T` is the task's output type, and it has not got the output yet.
pub(in crate::task) unsafe fn poll_join<T>(
    header: NonNull<Header>,
    waker: &Waker,
) -> Poll<Result<T, JoinError>> {
    // SAFETY: alive by the handle's reference.
    let head = unsafe { header.as_ref() };
    let state = head.state.load();
    if trace::is_on() && state.has(COMPLETE) && !state.has(JOIN_WAKER) {
        trace::note(Fact::Joined(TaskId::of(header)));
    }
    if state.has(COMPLETE) || !park_join(head, state.has(JOIN_WAKER), waker) {
        let mut outcome = MaybeUninit::<Outcome<T>>::uninit();
        // SAFETY: complete, and the handle has not taken the output yet.
        unsafe { (head.vtable.take_output)(header, outcome.as_mut_ptr().cast()) };
        // SAFETY: just written.
        return Poll::Ready(unsafe { outcome.assume_init() }.map_err(JoinError::from));
    }
    task_list::awaits(Awaited::Task(TaskId::of(header)));
    Poll::Pending
}

/// Leaves `waker` for the completer. False: the task has completed.
///
/// The waker may be a foreign one, whose clone and drop are the user's code: they run while the slot and its bit
/// agree.
#[inline]
pub(in crate::task) fn park_join(head: &Header, filled: bool, waker: &Waker) -> bool {
    if filled {
        let same = head.join_waker.with(|slot| {
            // SAFETY: while the bit is set nobody writes to the slot; a completer only reads it.
            unsafe { (*slot).will_wake(waker) }
        });
        if same {
            return !head.state.load().has(COMPLETE);
        }
    }
    let waker = JoinWaker::of(waker);
    if filled && !head.state.unset_join_waker() {
        return false;
    }
    let put = |waker| {
        head.join_waker
            // SAFETY: the bit is not set: the slot is the handle's.
            .with_mut(|slot| unsafe { mem::replace(&mut *slot, waker) })
    };
    let before = put(waker);
    let waits = head.state.set_join_waker();
    if !waits {
        // The task has completed without seeing the bit: the slot is still the handle's.
        drop(put(JoinWaker::NONE));
    }
    drop(before);
    waits
}

/// The join handle goes without having got the output.
///
/// # Safety
/// The caller is the one handle, and it has not got the output; its reference is given up.
pub(in crate::task) unsafe fn drop_join(header: NonNull<Header>) {
    // SAFETY: alive by the handle's reference.
    let head = unsafe { header.as_ref() };
    let before = head.state.drop_join_interest();
    if before.has(COMPLETE) {
        // SAFETY: complete while the handle was there: the output is ours.
        unsafe { (head.vtable.drop_output)(header) };
    } else if before.has(JOIN_WAKER) {
        // SAFETY: the bit was cleared before completion: the slot is ours.
        let waker = head
            .join_waker
            .with_mut(|slot| unsafe { mem::replace(&mut *slot, JoinWaker::NONE) });
        drop(waker);
    }
    // SAFETY: this is the handle's reference.
    unsafe { release(header) };
}
