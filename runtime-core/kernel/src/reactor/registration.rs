//! A descriptor that can wait for readiness: the basis of every socket.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::driver::IoDriver;
use super::own_thread::ThreadSource;
use super::readiness::{Direction, ReadyEvent, ready as bits};
use super::registered::{Registered, shut_down_error};
use super::source::Listed;
use super::waiters::{WaitAs, WaitKey};
use crate::budget;
use crate::task_list::{self, Awaited};

/// A non-blocking descriptor that tasks can await. It owns the descriptor and registers it when it is created. When it
/// is dropped, it deregisters the descriptor, closes it, and wakes the waiters.
///
/// Any number of tasks may wait for it in either direction. An event wakes all tasks that wait for
/// [readiness](Registration::ready), and one of those that wait to [take](Registration::io) something.
pub struct Registration {
    driver: Driver,
}

enum Driver {
    Reactor { registered: Registered, fd: OwnedFd },
    OwnThread(Arc<ThreadSource>),
}

/// Whether a new descriptor is worth an attempt before the kernel has reported anything for it.
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

    /// How this descriptor waits, for other descriptors that should wait in the same way.
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
    /// The waker stays registered until the next event or until the descriptor is dropped. Later calls from the same
    /// task do not add to it. [`ready`](Registration::ready) returns a future that removes its waker when you drop it.
    ///
    /// # Errors
    /// When the reactor was shut down.
    pub fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
    ) -> Poll<io::Result<ReadyEvent>> {
        self.poll_ready_on_budget(cx, direction, WaitAs::Caller)
    }

    pub(super) fn poll_ready_on_budget(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        place: WaitAs<'_>,
    ) -> Poll<io::Result<ReadyEvent>> {
        let spent = ready!(budget::poll_proceed(cx));
        let event = ready!(self.poll_ready_as(cx, direction, place));
        spent.made_progress();
        Poll::Ready(event)
    }

    fn poll_ready_as(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        place: WaitAs<'_>,
    ) -> Poll<io::Result<ReadyEvent>> {
        let polled = self.poll_driver(cx, direction, place);
        if polled.is_pending() {
            task_list::awaits(Awaited::Socket(self.as_fd().as_raw_fd()));
        }
        polled
    }

    fn poll_driver(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        place: WaitAs<'_>,
    ) -> Poll<io::Result<ReadyEvent>> {
        match &self.driver {
            Driver::Reactor { registered, .. } => {
                let rearm = |listed: Listed<'_>| registered.rearm(&listed);
                let event = ready!(registered.source().poll_ready(cx, direction, place, rearm));
                Poll::Ready(if event.bits & bits::SHUT_DOWN == 0 {
                    Ok(event)
                } else {
                    Err(shut_down_error())
                })
            }
            Driver::OwnThread(source) => source.poll_ready(cx, direction, place),
        }
    }

    #[cfg(test)]
    pub(super) fn token(&self) -> Option<super::token::Token> {
        match &self.driver {
            Driver::Reactor { registered, .. } => Some(registered.token),
            Driver::OwnThread(_) => None,
        }
    }

    /// Removes the waker of a future that waits together with others.
    pub(super) fn cancel(&self, direction: Direction, key: WaitKey) {
        let Some(number) = key.number else { return };
        match &self.driver {
            Driver::Reactor { registered, .. } => registered.source().cancel(direction, number),
            Driver::OwnThread(source) => source.cancel(direction, number, key.thread),
        }
    }

    /// Removes a future that takes turns with others. If it had its turn, calls the next one.
    pub(super) fn leave(&self, direction: Direction, key: WaitKey) {
        let Some(number) = key.number else { return };
        match &self.driver {
            Driver::Reactor { registered, .. } => registered.source().leave(direction, number),
            Driver::OwnThread(source) => source.cancel(direction, number, key.thread),
        }
    }

    /// Whether an attempt may succeed and another future was called to make it.
    pub(super) fn is_others_turn(&self, direction: Direction) -> bool {
        match &self.driver {
            Driver::Reactor { registered, .. } => registered.source().is_others_turn(direction),
            Driver::OwnThread(_) => false,
        }
    }

    /// Call this after an attempt returned "would block". An event that came after `event` is not cleared.
    pub fn clear_ready(&self, event: ReadyEvent) {
        match &self.driver {
            Driver::Reactor { registered, .. } => {
                let rearm = |listed: Listed<'_>| registered.rearm(&listed);
                registered.source().clear(event, rearm);
            }
            Driver::OwnThread(source) => source.clear(event.direction.mask()),
        }
    }

    /// Call this after a transfer on a byte stream moved less than was asked for: another attempt would return "would
    /// block", unless the stream has ended. The end of the stream stays recorded, so it is not missed.
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

    /// Attempts `operation` until it returns something other than "would block", and waits for readiness between
    /// attempts. Spends from the task's budget before each attempt.
    ///
    /// # Errors
    /// Those of `operation`, and when the reactor was shut down.
    pub fn poll_io<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        operation: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.poll_io_as(cx, direction, WaitAs::Caller, operation)
    }

    pub(super) fn poll_io_as<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        mut place: WaitAs<'_>,
        mut operation: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let spent = ready!(budget::poll_proceed(cx));
        loop {
            let event = match ready!(self.poll_ready_as(cx, direction, place.reborrow())) {
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

    /// Like [`poll_io`](Registration::poll_io), for a transfer of up to `wanted` bytes on a TCP stream. Moving less
    /// than that proves that the next attempt would wait, so the next operation waits at once, without a system call
    /// that fails.
    ///
    /// # Errors
    /// Like [`poll_io`](Registration::poll_io).
    pub fn poll_transfer(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        wanted: usize,
        mut operation: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let spent = ready!(budget::poll_proceed(cx));
        loop {
            let event = match ready!(self.poll_ready_as(cx, direction, WaitAs::Caller)) {
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
                    // A read of 0 bytes is the end of the stream, which stays ready.
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
