//! A socket's entry in its reactor, as the socket keeps it.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::Arc;

use super::backend::Reactor;
use super::source::{Listed, Source};
use super::token::Token;

pub(super) fn shut_down_error() -> io::Error {
    io::Error::other("the runtime that this socket belongs to has shut down")
}

/// A registered socket's token and source. An operation looks at the source several times, and a search in the slab
/// each time would cost more than those looks.
pub(super) struct Registered {
    pub(super) reactor: Arc<Reactor>,
    pub(super) token: Token,
    source: SourcePointer,
}

struct SourcePointer(NonNull<Source>);

// SAFETY: it stands for a `&Source`, and sources are shared between threads.
unsafe impl Send for SourcePointer {}
// SAFETY: as above.
unsafe impl Sync for SourcePointer {}

impl Registered {
    /// Adds `fd` to the reactor, with the initial readiness `bits`. Whoever drops the result must first call
    /// [`leave`](Registered::leave).
    pub(super) fn new(reactor: &Arc<Reactor>, fd: BorrowedFd<'_>, bits: u8) -> io::Result<Self> {
        let token = reactor.sources.claim(bits).ok_or_else(shut_down_error)?;
        if let Err(error) = reactor.register(fd, token) {
            reactor.sources.release(token);
            return Err(error);
        }
        Ok(Self {
            source: SourcePointer(NonNull::from(reactor.sources.get(token))),
            reactor: Arc::clone(reactor),
            token,
        })
    }

    /// Takes `fd` out of the reactor. Call it once, before `fd` is closed.
    pub(super) fn leave(&self, fd: BorrowedFd<'_>) {
        self.reactor.deregister(fd, self.token);
        self.reactor.sources.release(self.token);
    }

    /// Tells a backend that reports once per request what is awaited now.
    #[inline]
    pub(super) fn rearm(&self, listed: &Listed<'_>) {
        self.reactor.rearm(self.token, listed);
    }

    #[inline]
    pub(super) fn source(&self) -> &Source {
        // SAFETY: sources are never freed or moved while their reactor lives, and `reactor` keeps it alive.
        unsafe { self.source.0.as_ref() }
    }
}
