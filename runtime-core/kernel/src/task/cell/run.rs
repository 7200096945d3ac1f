//! One poll of a task, and its end.
#![allow(unsafe_code)]

use std::ptr::NonNull;

use super::header::{Header, Polled};
use super::references::release;
use crate::budget;
use crate::contain::contain;
use crate::context::Depth;
use crate::task::current::{CURRENT, Current};
use crate::task::error::JoinError;
use crate::task::id::TaskId;
use crate::task::join_waker::JoinWaker;
use crate::task::state::{ABORTED, AfterPoll, JOIN_INTEREST, JOIN_WAKER};
use crate::trace::{self, Fact, Outcome};

/// The result of running a task once.
pub(in crate::task) enum Ran {
    Finished,
    Parked,
    Woken,
    Yielded,
}

/// Polls a task once. The caller took its entry out of a queue.
///
/// # Safety
/// The header is alive and SCHEDULED, and the caller has its only entry.
pub(in crate::task) unsafe fn run(header: NonNull<Header>) -> Ran {
    // SAFETY: alive, because the task is not complete.
    let head = unsafe { header.as_ref() };
    let depth = Depth::now();
    if head.state.start_running().has(ABORTED) {
        // SAFETY: we have set the state to RUNNING.
        unsafe { end(header, JoinError::Cancelled, depth) };
        return Ran::Finished;
    }
    if trace::is_on_here() {
        note_poll_begins(head);
    }
    let outer = CURRENT.replace(Current::of(header.as_ptr()));
    let budget = budget::arm();
    // SAFETY: we have set the state to RUNNING.
    let polled = unsafe { (head.vtable.poll)(header) };
    depth.restore();
    drop(budget);
    let ran = CURRENT.replace(outer);
    let (yielded, taken) = (ran.has_yielded(), ran.taken);
    if trace::is_on_here() {
        note_poll_ends(head, polled, yielded);
    }
    match polled {
        Polled::Ready | Polled::Panicked => {
            // SAFETY: we have set the state to RUNNING, and the output is stored.
            unsafe { complete(header, taken, depth) };
            return Ran::Finished;
        }
        Polled::Pending if yielded => {
            head.state.stay_running(taken);
            return Ran::Yielded;
        }
        Polled::Pending => {}
    }
    match head.state.stop_running(taken) {
        AfterPoll::Idle => Ran::Parked,
        AfterPoll::Scheduled => Ran::Woken,
        AfterPoll::Aborted => {
            // It is SCHEDULED, and its entry is ours: this is the suspension point that the abort waited for.
            head.state.start_running();
            // SAFETY: we have set the state to RUNNING.
            unsafe { end(header, JoinError::Cancelled, depth) };
            Ran::Finished
        }
    }
}

/// Ends a task without polling it. The caller took its entry out of a queue (or has not put it into one).
///
/// # Safety
/// The header is alive and SCHEDULED, and the caller has its only entry.
pub(in crate::task) unsafe fn cancel_entry(header: NonNull<Header>, error: JoinError) {
    // SAFETY: alive, because the task is not complete.
    unsafe { header.as_ref() }.state.start_running();
    // SAFETY: we have set the state to RUNNING.
    unsafe { end(header, error, Depth::now()) };
}

/// Drops the future and completes the task. After the destructors, the thread is back at `depth`, even if they have
/// entered a runtime and not left it.
///
/// Out of line, because only aborted tasks need it, and `run` has a smaller frame without it.
///
/// SAFETY: the caller has set the state to RUNNING, and the future is there.
#[cold]
#[inline(never)]
unsafe fn end(header: NonNull<Header>, error: JoinError, depth: Depth) {
    let outer = CURRENT.replace(Current::of(header.as_ptr()));
    // SAFETY: by this function's contract; alive, because the task is not complete.
    unsafe { (header.as_ref().vtable.cancel)(header, error) };
    depth.restore();
    trace::note(Fact::Ended(TaskId::of(header)));
    let Current { taken, .. } = CURRENT.replace(outer);
    // SAFETY: the output is stored.
    unsafe { complete(header, taken, depth) };
}

/// Completes the task. At the end, the thread is back at `depth`, whatever the destructor of an output has entered.
///
/// SAFETY: the caller has set the state to RUNNING, and the output is stored.
#[inline]
unsafe fn complete(header: NonNull<Header>, taken: i32, depth: Depth) {
    // SAFETY: alive: the runtime's reference has not been given up yet.
    if !unsafe { header.as_ref() }.state.complete_and_release(taken) {
        // SAFETY: by this function's contract.
        unsafe { complete_in_steps(header, taken) };
        depth.restore();
    }
}

/// SAFETY: as `complete`.
#[inline]
unsafe fn complete_in_steps(header: NonNull<Header>, taken: i32) {
    // SAFETY: alive: the runtime's reference is given up below.
    let head = unsafe { header.as_ref() };
    let before = head.state.complete(taken);
    if !before.has(JOIN_INTEREST) {
        // SAFETY: complete, and there is no handle, so the output is ours.
        unsafe { (head.vtable.drop_output)(header) };
    }
    if before.has(JOIN_WAKER) {
        head.join_waker.with(|slot| {
            // SAFETY: the bit was set at completion, so nobody writes to the slot any more. The waker stays in it
            // until the block is freed, because the handle may be comparing it with another.
            let waker = unsafe { JoinWaker::of_word(&*slot) };
            if trace::is_on_here() {
                wake_awaiter_and_note(waker, head);
                return;
            }
            // A foreign executor's waker may panic. This must not affect the task's outcome, and must not end this
            // worker.
            contain(|| waker.wake_at_end());
        });
    }
    // SAFETY: this is the runtime's reference.
    unsafe { release(header) };
}

#[cold]
#[inline(never)]
fn note_poll_begins(head: &Header) {
    trace::poll_begins(TaskId::of(NonNull::from(head)), head.table());
}

#[cold]
#[inline(never)]
fn note_poll_ends(head: &Header, polled: Polled, yielded: bool) {
    let outcome = match polled {
        Polled::Ready => Outcome::Ready,
        Polled::Panicked => Outcome::Panicked,
        Polled::Pending if yielded => Outcome::Yielded,
        Polled::Pending => Outcome::Pending,
    };
    trace::poll_ends(TaskId::of(NonNull::from(head)), outcome);
}

/// Does the same as without a recording, and records that the ended task wakes another one. It has its own `contain`,
/// so that the other one has a single caller and is inlined.
#[cold]
#[inline(never)]
fn wake_awaiter_and_note(waker: &JoinWaker, ended: &Header) {
    let _acting = trace::acting(TaskId::of(NonNull::from(ended)));
    contain(|| waker.wake_at_end());
}
