//! The futures that wait for a descriptor.

use std::future::Future;
use std::io;
use std::mem;
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::readiness::{Direction, ReadyEvent};
use super::registration::Registration;
use super::waiters::{WaitAs, WaitKey};

impl Registration {
    /// Completes when an attempt in `direction` may succeed. Cancel safe: when you drop it, it removes its waker.
    pub fn ready(&self, direction: Direction) -> Ready<'_> {
        Ready::new(self, direction)
    }

    /// [`poll_io`](Registration::poll_io) as a future that takes turns with others of its kind: an event wakes one of
    /// the waiting futures, in the order in which they came. When that future completes or is dropped, and the
    /// descriptor is still ready, it wakes the next one. Each of a thousand tasks may therefore accept from one
    /// listener, and a connection wakes at most two of them. Under 1:1, a thread that wakes up at once lets the next
    /// one watch the descriptor.
    ///
    /// Cancel safe if `operation` moves nothing unless it succeeds: when you drop the future, it removes its waker,
    /// and passes on a wake-up that it got. A future that was woken but is not polled delays the others: they are
    /// woken some 10 ms later. Under 1:1 it delays nobody.
    pub fn io<R, F>(&self, direction: Direction, operation: F) -> Io<'_, F>
    where
        F: FnMut(BorrowedFd<'_>) -> io::Result<R> + Unpin,
    {
        Io::new(self, direction, operation)
    }
}

/// The future of [`Registration::ready`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct Ready<'a> {
    registration: &'a Registration,
    direction: Direction,
    key: WaitKey,
}

impl<'a> Ready<'a> {
    pub(super) fn new(registration: &'a Registration, direction: Direction) -> Self {
        Self {
            registration,
            direction,
            key: WaitKey::default(),
        }
    }
}

impl Future for Ready<'_> {
    type Output = io::Result<ReadyEvent>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self {
            registration,
            direction,
            key,
        } = &mut *self;
        registration.poll_ready_on_budget(cx, *direction, WaitAs::Together(key))
    }
}

impl Drop for Ready<'_> {
    fn drop(&mut self) {
        self.registration.cancel(self.direction, self.key);
    }
}

/// The future of [`Registration::io`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct Io<'a, F> {
    registration: &'a Registration,
    direction: Direction,
    /// The key of its place among the futures that take turns, once it has waited.
    key: WaitKey,
    has_given_way: bool,
    operation: F,
}

impl<'a, F> Io<'a, F> {
    pub(super) fn new(registration: &'a Registration, direction: Direction, operation: F) -> Self {
        Self {
            registration,
            direction,
            key: WaitKey::default(),
            has_given_way: false,
            operation,
        }
    }

    /// Whether it should let another future go first: one that has waited, and was called.
    ///
    /// It does so only once, because that future may belong to a task that does not poll it, even to the task that
    /// polls this one.
    fn gives_way(&mut self) -> bool {
        let is_new = self.key.number.is_none() && !self.has_given_way;
        self.has_given_way = true;
        is_new && self.registration.is_others_turn(self.direction)
    }

    fn leave(&mut self) {
        self.registration
            .leave(self.direction, mem::take(&mut self.key));
    }
}

impl<R, F> Future for Io<'_, F>
where
    F: FnMut(BorrowedFd<'_>) -> io::Result<R> + Unpin,
{
    type Output = io::Result<R>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.gives_way() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Self {
            registration,
            direction,
            key,
            operation,
            ..
        } = &mut *self;
        let polled = registration.poll_io_as(cx, *direction, WaitAs::InTurn(key), operation);
        if polled.is_ready() {
            self.leave();
        }
        polled
    }
}

impl<F> Drop for Io<'_, F> {
    fn drop(&mut self) {
        self.leave();
    }
}
