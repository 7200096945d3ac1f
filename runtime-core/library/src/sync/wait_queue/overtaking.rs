//! Calling a waiter instead of handing over to it: what makes waiting affordable for a thread.
//!
//! To hand something over to a thread that sleeps keeps it from everybody until the kernel has run that thread, and
//! meanwhile all others come to stand in line too: from then on each turn costs a switch of threads, some hundred
//! times what a lock costs. A task of N:1 or M:N has no such cost: its worker runs it next.
//!
//! So a waiter that is a thread is *called*: woken, and left in the line, first, while what it needs stays where it
//! was. Whoever comes first takes it: the one that was called, or a thread that runs already and has not queued. If
//! the called one finds nothing it waits on, still the first, and is called again by whoever gives back next. Those in
//! line never overtake each other.
//!
//! That is for a bounded time, [`OVERTAKEN_FOR`] from the first call on. Who has been called for longer and comes in
//! vain is handed what is given back next.
//!
//! Source of the rule: parking_lot's eventual fairness, Go's `sync.Mutex`.
#![allow(unsafe_code)]

use super::line::Status;
use super::turn_came::TurnCame;
use super::waiter::{Resource, Serving, Turn};
use runtime_kernel::context;

/// True if one who waits on the calling thread waits by blocking it: it may overtake others of its kind, and is
/// overtaken.
#[inline]
pub(in crate::sync) fn waits_as_thread() -> bool {
    context::waits_as_thread()
}

impl<S: Resource> Serving<'_, S> {
    /// Leaves what the lane's first waiter needs to whoever comes first, and wakes that waiter. False if it is to be
    /// [granted](Serving::grant) instead, as no thread waits, or has been overtaken for long enough.
    ///
    /// # Panics
    /// If [`next_waiter`](Serving::next_waiter) is `None`.
    #[inline]
    pub(in crate::sync) fn call(&mut self, lane: usize) -> bool {
        let first = self.inner.lane(lane).first().expect("nobody waits");
        if first.status() == Status::Called {
            // It has not come yet.
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
    /// Says whether it is a thread that is about to wait. To be called before each `wait` and `rewait` by one who may
    /// be [called](Serving::call).
    #[inline]
    pub(in crate::sync) fn waits_as(&mut self, is_thread: bool) {
        // SAFETY: under the lock.
        unsafe { self.node.with(|linked| linked.is_thread = is_thread) };
    }

    /// The called waiter has taken what it was called for: it leaves the line and is `New` again. `serve` follows.
    ///
    /// # Panics
    /// If its status is not `Called`.
    pub(in crate::sync) fn leave_line(&mut self) {
        assert!(self.status() == Status::Called, "it was not called");
        // SAFETY: under the lock; the lane is the one that it was queued in.
        let lane = unsafe { self.node.with(|linked| linked.lane) };
        // SAFETY: under the lock; a called node is in its lane's line.
        unsafe { self.locked.inner.lane(lane).unlink(self.node) };
        *self.queued = false;
        self.node.set_status(Status::New);
        // SAFETY: out of the line, it is its owner's.
        unsafe {
            self.node
                .with(|linked| linked.turn_came = TurnCame::default())
        };
    }
}
