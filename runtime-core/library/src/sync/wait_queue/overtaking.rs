//! Calling a waiter instead of handing over to it, which makes waiting affordable for threads.
//!
//! Handing something to a sleeping thread withholds it from everybody until the kernel has run that thread. Meanwhile
//! all others queue too, and from then on each turn costs a thread switch, some hundred times the cost of a lock. A
//! task of N:1 or M:N has no such cost: its worker runs it next.
//!
//! A waiter that is a thread is therefore *called*: it is woken and stays first in the list, and what it needs stays
//! where it was. Whichever thread comes first takes it: the called one, or a thread that is running and has not
//! queued. If the called one finds nothing, it waits again, still the first, and the next thread that gives back calls
//! it again. Waiters in the list never overtake each other.
//!
//! This lasts for a bounded time: [`OVERTAKEN_FOR`] from the first call on. A waiter that was first called longer ago,
//! and finds nothing, is handed what is given back next.
//!
//! Source of the rule: parking_lot's eventual fairness, Go's `sync.Mutex`.
#![allow(unsafe_code)]

use super::turn_came::TurnCame;
use super::waiter::{Resource, Serving, Turn};
use super::waiter_list::Status;
use runtime_kernel::context;

/// True if a waiter on the calling thread waits by blocking it: it may overtake other such waiters, and may be
/// overtaken.
#[inline]
pub(in crate::sync) fn waits_as_thread() -> bool {
    context::waits_as_thread()
}

impl<S: Resource> Serving<'_, S> {
    /// Leaves what the lane's first waiter needs to whichever thread comes first, and wakes that waiter. False if it
    /// must be [granted](Serving::grant) instead, because it is not a thread, or was overtaken for long enough.
    ///
    /// # Panics
    /// If [`next_waiter`](Serving::next_waiter) is `None`.
    #[inline]
    pub(in crate::sync) fn call(&mut self, lane: usize) -> bool {
        let first = self.inner.lane(lane).first().expect("nobody waits");
        if first.status() == Status::Called {
            // It was not polled yet.
            return true;
        }
        // SAFETY: under the lock.
        let called = unsafe {
            first.with(|linked| {
                (linked.is_thread && linked.turn_came.may_be_called()).then(|| linked.waker.take())
            })
        };
        let Some(waker) = called else {
            return false;
        };
        first.set_status(Status::Called);
        if let Some(waker) = waker {
            self.wakers.push(waker);
        }
        true
    }
}

impl<S: Resource> Turn<'_, '_, S> {
    /// States whether a thread is about to wait. Call it before each `wait` and `rewait` of a waiter that may be
    /// [called](Serving::call).
    #[inline]
    pub(in crate::sync) fn waits_as(&mut self, is_thread: bool) {
        // SAFETY: under the lock.
        unsafe { self.node.with(|linked| linked.is_thread = is_thread) };
    }

    /// The called waiter has taken what it was called for: it leaves the list and is `New` again. `serve` follows.
    ///
    /// # Panics
    /// If its status is not `Called`.
    pub(in crate::sync) fn dequeue(&mut self) {
        assert!(self.status() == Status::Called, "it was not called");
        // SAFETY: under the lock; the lane is the one that it was queued in.
        let lane = unsafe { self.node.with(|linked| linked.lane) };
        // SAFETY: under the lock; a called node is in its lane's list.
        unsafe { self.locked.inner.lane(lane).unlink(self.node) };
        *self.queued = false;
        self.node.set_status(Status::New);
        // SAFETY: the node is out of the list, so it belongs to its owner.
        unsafe {
            self.node
                .with(|linked| linked.turn_came = TurnCame::default())
        };
    }
}
