//! In epoll's place under shuttle, whose threads may not block in the kernel: a reactor that can be waited in and
//! notified.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::polled::Polled;
use super::slab::{Sources, Token};
use crate::park::{Parker, Unparker};
use crate::primitives::Mutex;

pub(super) struct Epoll {
    /// One thread at a time polls: another one waits for it.
    parker: Mutex<Parker>,
    unparker: Unparker,
}

impl Epoll {
    pub(super) fn new() -> io::Result<Self> {
        let parker = Parker::new();
        Ok(Self {
            unparker: parker.unparker(),
            parker: Mutex::new(parker),
        })
    }

    pub(super) fn register(&self, _fd: BorrowedFd<'_>, _token: Token) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn deregister(&self, _fd: BorrowedFd<'_>) {}

    pub(super) fn poll(&self, timeout: Option<Duration>, _sources: &Sources) -> io::Result<Polled> {
        self.parker
            .lock()
            .park(timeout.map(|timeout| Instant::now() + timeout));
        Ok(Polled::default())
    }

    pub(super) fn notify(&self) {
        self.unparker.unpark();
    }
}
