//! Replaces epoll under shuttle, whose threads must not block in the kernel: a reactor that you can wait in and
//! notify. A test [reports](super::Reactor::report) its sockets.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use super::polled::{EVENTS, Polled};
use super::readiness::ready;
use super::slab::Sources;
use super::token::Token;
use crate::park::{Parker, Unparker};
use crate::primitives::{Mutex, now};

pub(super) struct Epoll {
    /// One thread polls at a time: another one waits for the lock.
    parker: Mutex<Parker>,
    unparker: Unparker,
    sockets: Mutex<Sockets>,
}

#[derive(Default)]
struct Sockets {
    registered: Vec<(RawFd, Token)>,
    /// Reported, and not polled since then.
    readable: Vec<Token>,
}

impl Epoll {
    pub(super) fn new() -> io::Result<Self> {
        let parker = Parker::new();
        Ok(Self {
            unparker: parker.unparker(),
            parker: Mutex::new(parker),
            sockets: Mutex::default(),
        })
    }

    pub(super) fn register(&self, fd: BorrowedFd<'_>, token: Token) -> io::Result<()> {
        let mut sockets = self.sockets.lock();
        sockets.registered.push((fd.as_raw_fd(), token));
        Ok(())
    }

    pub(super) fn deregister(&self, fd: BorrowedFd<'_>) {
        let mut sockets = self.sockets.lock();
        let fd = fd.as_raw_fd();
        sockets.registered.retain(|(other, _)| *other != fd);
    }

    /// Marks the socket as readable: the next poll reports it.
    pub(super) fn report(&self, fd: BorrowedFd<'_>) {
        let mut sockets = self.sockets.lock();
        let fd = fd.as_raw_fd();
        let found = sockets.registered.iter().find(|(other, _)| *other == fd);
        let token = found.expect("it is registered").1;
        sockets.readable.push(token);
        drop(sockets);
        self.unparker.unpark();
    }

    pub(super) fn poll(&self, timeout: Option<Duration>, sources: &Sources) -> io::Result<Polled> {
        let deadline = timeout.and_then(|timeout| now().checked_add(timeout));
        self.parker.lock().park(deadline);
        let readable = std::mem::take(&mut self.sockets.lock().readable);
        let dispatched = readable
            .iter()
            .filter(|token| sources.dispatch(**token, ready::READABLE));
        Ok(Polled {
            sockets: dispatched.count(),
            is_full: readable.len() >= EVENTS,
        })
    }

    pub(super) fn notify(&self) {
        self.unparker.unpark();
    }
}
