//! A descriptor and how it waits: what every socket is made of.

use std::future::Future;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::driver::IoDriver;
use super::own_thread::ThreadSource;
use super::readiness::{Direction, ReadyEvent, ready as bits};
use super::registered::{Registered, shut_down_error};
use super::waiters::{WaitKey, Waiters};
use crate::budget;
use crate::task_list::{self, Awaited};

/// A non-blocking descriptor that can be awaited: it owns the descriptor, was registered when it was made, and is
/// deregistered before the descriptor is closed, when it is dropped. Whoever waits for it then is woken.
///
/// Any number of tasks may wait for it in either direction; each event wakes all of that direction.
pub struct Registration {
    driver: Driver,
}

enum Driver {
    Reactor { registered: Registered, fd: OwnedFd },
    OwnThread(Arc<ThreadSource>),
}

/// Whether a new descriptor is worth an attempt before the kernel has reported anything of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initially {
    /// Both directions are attempted right away: a connected socket can usually be written to and often has data.
    Ready,
    /// An attempt would be wrong or wasted: a socket that is being connected.
    Waiting,
}

impl Registration {
    /// Registers `fd`, which must be in non-blocking mode.
    ///
    /// # Errors
    /// Those of the registering system call, such as the limit on watched descriptors.
    pub fn new(fd: OwnedFd, driver: &IoDriver, initially: Initially) -> io::Result<Self> {
        let ready = match initially {
            Initially::Ready => bits::READABLE | bits::WRITABLE,
            Initially::Waiting => 0,
        };
        let driver = match driver {
            IoDriver::Reactor(reactor) => Driver::Reactor {
                registered: Registered::new(reactor, fd.as_fd(), ready)?,
                fd,
            },
            IoDriver::OwnThread => Driver::OwnThread(ThreadSource::new(fd, ready)),
        };
        Ok(Self { driver })
    }

    /// How this descriptor waits, for others that are to wait in the same way.
    pub fn driver(&self) -> IoDriver {
        match &self.driver {
            Driver::Reactor { registered, .. } => {
                IoDriver::Reactor(Arc::clone(&registered.reactor))
            }
            Driver::OwnThread(_) => IoDriver::OwnThread,
        }
    }

    /// Waits until an attempt in `direction` may succeed. Spends from the task's budget.
    ///
    /// The waker stays registered until the next event or until the descriptor is dropped; a later call from the same
    /// task does not add to it. See [`ready`](Registration::ready) for a future that takes its waker back.
    ///
    /// # Errors
    /// When the reactor was shut down.
    pub fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
    ) -> Poll<io::Result<ReadyEvent>> {
        self.poll_ready_on_budget(cx, direction, None)
    }

    fn poll_ready_on_budget(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        key: Option<&mut WaitKey>,
    ) -> Poll<io::Result<ReadyEvent>> {
        let spent = ready!(budget::poll_proceed(cx));
        let event = ready!(self.poll_ready_as(cx, direction, key));
        spent.made_progress();
        Poll::Ready(event)
    }

    fn poll_ready_as(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        key: Option<&mut WaitKey>,
    ) -> Poll<io::Result<ReadyEvent>> {
        let polled = self.poll_driver(cx, direction, key);
        if polled.is_pending() {
            task_list::awaits(Awaited::Socket(self.as_fd().as_raw_fd()));
        }
        polled
    }

    fn poll_driver(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        key: Option<&mut WaitKey>,
    ) -> Poll<io::Result<ReadyEvent>> {
        match &self.driver {
            Driver::Reactor { registered, .. } => {
                let rearm = |waiters: &Waiters| {
                    let Registered { reactor, token, .. } = registered;
                    reactor.rearm(*token, waiters);
                };
                let event = ready!(registered.source().poll_ready(cx, direction, key, rearm));
                Poll::Ready(if event.bits & bits::SHUT_DOWN == 0 {
                    Ok(event)
                } else {
                    Err(shut_down_error())
                })
            }
            Driver::OwnThread(source) => source.poll_ready(cx, direction, key),
        }
    }

    #[cfg(test)]
    pub(super) fn token(&self) -> Option<super::slab::Token> {
        match &self.driver {
            Driver::Reactor { registered, .. } => Some(registered.token),
            Driver::OwnThread(_) => None,
        }
    }

    fn cancel(&self, direction: Direction, key: WaitKey) {
        let Some(key) = key else { return };
        match &self.driver {
            Driver::Reactor { registered, .. } => registered.source().cancel(direction, key),
            Driver::OwnThread(source) => source.cancel(direction, key),
        }
    }

    /// To be called after an attempt said "would block". An event that came after `event` is not cleared.
    pub fn clear_ready(&self, event: ReadyEvent) {
        match &self.driver {
            Driver::Reactor { registered, .. } => registered.source().clear(event),
            Driver::OwnThread(source) => source.clear(event.direction.mask()),
        }
    }

    /// To be called after a transfer on a byte stream moved less than was asked for: another attempt would say "would
    /// block", unless the stream has ended. That is remembered, so that the end is seen.
    fn clear_after_short_transfer(&self, event: ReadyEvent) {
        match &self.driver {
            Driver::Reactor { registered, .. } => {
                if registered.reactor.short_transfer_clears() {
                    registered.source().use_up(event);
                }
            }
            Driver::OwnThread(source) => source.clear(event.direction.transient()),
        }
    }

    /// Completes when an attempt in `direction` may succeed. Cancel safe: dropped, it takes its waker back.
    pub fn ready(&self, direction: Direction) -> Ready<'_> {
        Ready {
            registration: self,
            direction,
            key: None,
        }
    }

    /// Attempts `operation` until it says something else than "would block", waiting for readiness between attempts.
    /// Spends from the task's budget before each attempt.
    ///
    /// # Errors
    /// Those of `operation`, and when the reactor was shut down.
    pub fn poll_io<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        operation: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.poll_io_as(cx, direction, None, operation)
    }

    fn poll_io_as<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        mut key: Option<&mut WaitKey>,
        mut operation: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let spent = ready!(budget::poll_proceed(cx));
        loop {
            let event = match ready!(self.poll_ready_as(cx, direction, key.as_deref_mut())) {
                Ok(event) => event,
                Err(error) => {
                    spent.made_progress();
                    return Poll::Ready(Err(error));
                }
            };
            match operation(self.as_fd()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.clear_ready(event),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    spent.made_progress();
                    return Poll::Ready(result);
                }
            }
        }
    }

    /// As [`poll_io`](Registration::poll_io) for a transfer of up to `wanted` bytes on a TCP stream, where moving less
    /// than that proves that the next attempt would wait: it then waits at once, without a system call that fails.
    ///
    /// # Errors
    /// As [`poll_io`](Registration::poll_io).
    pub fn poll_transfer(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        wanted: usize,
        mut operation: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let spent = ready!(budget::poll_proceed(cx));
        loop {
            let event = match ready!(self.poll_ready_as(cx, direction, None)) {
                Ok(event) => event,
                Err(error) => {
                    spent.made_progress();
                    return Poll::Ready(Err(error));
                }
            };
            match operation(self.as_fd()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.clear_ready(event),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    // A read of nothing is the end of the stream: that stays ready.
                    if let Ok(moved) = result
                        && moved > 0
                        && moved < wanted
                    {
                        self.clear_after_short_transfer(event);
                    }
                    spent.made_progress();
                    return Poll::Ready(result);
                }
            }
        }
    }

    /// [`poll_io`](Registration::poll_io) as a future. Cancel safe if `operation` moves nothing unless it succeeds:
    /// dropped, it takes its waker back.
    pub fn io<R, F>(&self, direction: Direction, operation: F) -> Io<'_, F>
    where
        F: FnMut(BorrowedFd<'_>) -> io::Result<R> + Unpin,
    {
        Io {
            waiting: self.ready(direction),
            operation,
        }
    }
}

impl AsFd for Registration {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.driver {
            Driver::Reactor { fd, .. } => fd.as_fd(),
            Driver::OwnThread(source) => source.as_fd(),
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        match &self.driver {
            Driver::Reactor { registered, fd } => registered.leave(fd.as_fd()),
            Driver::OwnThread(source) => source.close(),
        }
    }
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registration")
            .field("fd", &self.as_fd())
            .finish_non_exhaustive()
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

impl Future for Ready<'_> {
    type Output = io::Result<ReadyEvent>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self {
            registration,
            direction,
            key,
        } = &mut *self;
        registration.poll_ready_on_budget(cx, *direction, Some(key))
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
    waiting: Ready<'a>,
    operation: F,
}

impl<R, F> Future for Io<'_, F>
where
    F: FnMut(BorrowedFd<'_>) -> io::Result<R> + Unpin,
{
    type Output = io::Result<R>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { waiting, operation } = &mut *self;
        let Ready {
            registration,
            direction,
            key,
        } = waiting;
        registration.poll_io_as(cx, *direction, Some(key), operation)
    }
}
