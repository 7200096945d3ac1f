//! The handle's side of a task's cell: it takes the output, waits for it, or gives it up.
#![allow(unsafe_code)]

use std::mem::{self, MaybeUninit};
use std::ptr::NonNull;
use std::task::{Poll, Waker};

use super::Outcome;
use super::header::Header;
use super::references::release;
use crate::task::id::TaskId;
use crate::task::join_waker::JoinWaker;
use crate::task::state::{COMPLETE, JOIN_WAKER, Snapshot};
use crate::task::waker::is_own_waker;
use crate::task_list::{self, Awaited};
use crate::trace::{self, Fact};

/// The join handle's poll: returns the outcome, or keeps `waker` to wake it at the end.
///
/// # Safety
/// The caller is the only handle, `T` is the task's output type, and the caller has not taken the output yet.
pub(in crate::task) unsafe fn poll_join<T>(
    header: NonNull<Header>,
    waker: &Waker,
) -> Poll<Outcome<T>> {
    // SAFETY: alive by the handle's reference.
    let head = unsafe { header.as_ref() };
    let state = head.state.load();
    if state.has(COMPLETE) || !park_join(head, state.has(JOIN_WAKER), waker) {
        let mut outcome = MaybeUninit::<Outcome<T>>::uninit();
        // SAFETY: complete, and the handle has not taken the output yet.
        unsafe { (head.vtable.take_output)(header, outcome.as_mut_ptr().cast()) };
        if trace::is_on() {
            note_join(header, state, waker);
        }
        // SAFETY: just written.
        return Poll::Ready(unsafe { outcome.assume_init() });
    }
    task_list::awaits(Awaited::Task(TaskId::of(header)));
    Poll::Pending
}

/// Records that the handle got an outcome that no recorded wake announces: nobody was woken, or the wake may have
/// found the task already due, as with a combinator's children.
#[cold]
#[inline(never)]
fn note_join(header: NonNull<Header>, before: Snapshot, waker: &Waker) {
    let was_woken = before.has(COMPLETE) && before.has(JOIN_WAKER);
    if !was_woken || !is_own_waker(waker) {
        trace::note(Fact::Joined(TaskId::of(header)));
    }
}

/// Leaves `waker` for the completing thread. False: the task has completed.
///
/// The waker may be foreign, so its clone and drop are user code: they run only while the slot and its bit agree.
#[inline]
pub(in crate::task) fn park_join(head: &Header, filled: bool, waker: &Waker) -> bool {
    if filled {
        let same = head.join_waker.with(|slot| {
            // SAFETY: while the bit is set nobody writes to the slot; the completing thread only reads it.
            unsafe { JoinWaker::of_word(&*slot) }.will_wake(waker)
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
        // SAFETY: the bit is not set, so the slot belongs to the handle.
        unsafe { replace_join_waker(head, waker) }
    };
    let before = put(waker);
    let waits = head.state.set_join_waker();
    if !waits {
        // The task has completed without seeing the bit: the slot still belongs to the handle.
        drop(put(JoinWaker::NONE));
    }
    drop(before);
    waits
}

/// Puts a waker into the slot and returns the previous one.
///
/// # Safety
/// The slot belongs to the caller.
#[inline]
unsafe fn replace_join_waker(head: &Header, waker: JoinWaker) -> JoinWaker {
    head.join_waker.with_mut(|slot| {
        // SAFETY: by this function's contract; the slot holds a waker's word, which is taken out once.
        unsafe { JoinWaker::from_word(mem::replace(&mut *slot, waker.into_word())) }
    })
}

/// The join handle is dropped without having taken the output.
///
/// # Safety
/// The caller is the only handle, and has not taken the output. This gives up its reference.
pub(in crate::task) unsafe fn drop_join(header: NonNull<Header>) {
    // SAFETY: alive by the handle's reference.
    let head = unsafe { header.as_ref() };
    let before = head.state.drop_join_interest();
    if before.has(COMPLETE) {
        // SAFETY: it completed while the handle existed, so the output is ours.
        unsafe { (head.vtable.drop_output)(header) };
    } else if before.has(JOIN_WAKER) {
        // SAFETY: the bit was cleared before completion, so the slot is ours.
        drop(unsafe { replace_join_waker(head, JoinWaker::NONE) });
    }
    // SAFETY: this is the handle's reference.
    unsafe { release(header) };
}
