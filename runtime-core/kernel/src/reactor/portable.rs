//! The `polling` crate: for every other system, and for comparison on Linux.
//!
//! It is edge-triggered, like epoll, where the platform supports that. Elsewhere each request gets one report: a
//! direction is requested when someone starts to wait for it, and again after each report while others still wait.
//!
//! `polling` does not distinguish the end of a stream from data, so a short read does not clear readiness here: the
//! end might have been reported together with the data, and would then be missed.
#![allow(unsafe_code)]

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use crate::primitives::real_locks::Mutex;
use polling::{Event, Events, PollMode, Poller};

use super::polled::{EVENTS, Polled};
use super::readiness::{Direction, ready};
use super::slab::Sources;
use super::source::Listed;
use super::token::Token;

pub(super) struct Portable {
    poller: Poller,
    mode: PollMode,
    /// The buffer, while nobody polls. A poll takes it out, because it calls wakers.
    events: Mutex<Option<Events>>,
    /// The descriptors by slot, for requests; empty in edge mode. An entry is removed before its descriptor is closed.
    fds: Mutex<Vec<Option<(Token, RawFd)>>>,
}

impl Portable {
    pub(super) fn new() -> io::Result<Self> {
        let poller = Poller::new()?;
        let mode = if poller.supports_edge() {
            PollMode::Edge
        } else {
            PollMode::Oneshot
        };
        Ok(Self::with_mode(poller, mode))
    }

    fn with_mode(poller: Poller, mode: PollMode) -> Self {
        Self {
            poller,
            mode,
            events: Mutex::new(None),
            fds: Mutex::new(Vec::new()),
        }
    }

    /// Behaves as on a platform without edge-triggered readiness.
    pub(super) fn new_oneshot() -> io::Result<Self> {
        Ok(Self::with_mode(Poller::new()?, PollMode::Oneshot))
    }

    fn is_oneshot(&self) -> bool {
        self.mode == PollMode::Oneshot
    }

    pub(super) fn register(&self, fd: BorrowedFd<'_>, token: Token) -> io::Result<()> {
        let interest = if self.is_oneshot() {
            let mut fds = self.fds.lock();
            let slot = token.slot();
            if fds.len() <= slot {
                fds.resize(slot + 1, None);
            }
            fds[slot] = Some((token, fd.as_raw_fd()));
            Event::none(token.to_key())
        } else {
            Event::all(token.to_key())
        };
        // SAFETY: the poller must forget the descriptor before it is closed: a `Registration` owns the descriptor, and
        // its destructor calls `deregister` first.
        unsafe {
            self.poller
                .add_with_mode(fd.as_raw_fd(), interest, self.mode)
        }
    }

    pub(super) fn deregister(&self, fd: BorrowedFd<'_>, token: Token) {
        if self.is_oneshot() {
            let mut fds = self.fds.lock();
            fds[token.slot()] = None;
        }
        // As with epoll, closing comes next, and the generation filters out late events.
        let _ = self.poller.delete(fd);
    }

    /// Requests a report for the directions that are awaited.
    pub(super) fn rearm(&self, token: Token, listed: &Listed<'_>) {
        if !self.is_oneshot() {
            return;
        }
        let (reading, writing) = (
            listed.awaits(Direction::Read),
            listed.awaits(Direction::Write),
        );
        if !(reading || writing) {
            return;
        }
        let fds = self.fds.lock();
        if let Some(&Some((owner, fd))) = fds.get(token.slot())
            && owner == token
        {
            // SAFETY: an entry is removed, under this lock, before its descriptor is closed.
            let fd = unsafe { BorrowedFd::borrow_raw(fd) };
            // It fails only for a descriptor that is not registered.
            let _ = self.poller.modify_with_mode(
                fd,
                Event::new(token.to_key(), reading, writing),
                self.mode,
            );
        }
    }

    pub(super) fn poll(&self, timeout: Option<Duration>, sources: &Sources) -> io::Result<Polled> {
        let kept = self.events.lock().take();
        let mut events = kept.unwrap_or_else(|| {
            Events::with_capacity(NonZeroUsize::new(EVENTS).unwrap_or(NonZeroUsize::MIN))
        });
        let polled = self.poll_into(&mut events, timeout, sources);
        let replaced = self.events.lock().replace(events);
        drop(replaced);
        polled
    }

    fn poll_into(
        &self,
        events: &mut Events,
        timeout: Option<Duration>,
        sources: &Sources,
    ) -> io::Result<Polled> {
        events.clear();
        let is_full = match self.poller.wait(events, timeout) {
            Ok(events) => events >= EVENTS,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                return Ok(Polled::default());
            }
            Err(error) => return Err(error),
        };
        let mut sockets = 0;
        for event in events.iter() {
            let mut bits = 0;
            if event.readable {
                bits |= ready::READABLE;
            }
            if event.writable {
                bits |= ready::WRITABLE;
            }
            let token = Token::from_key(event.key);
            if sources.dispatch(token, bits) {
                sockets += 1;
                if self.is_oneshot() {
                    // This report consumed the requests of both directions.
                    sources.with_waiting(token, |listed| self.rearm(token, &listed));
                }
            }
        }
        Ok(Polled { sockets, is_full })
    }

    pub(super) fn notify(&self) {
        // It fails only if the poller's own descriptor is broken.
        let _ = self.poller.notify();
    }
}
