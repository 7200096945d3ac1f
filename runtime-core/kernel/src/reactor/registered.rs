//! A socket's place in its reactor, as the socket keeps it.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::Arc;

use super::backend::Reactor;
use super::slab::Token;
use super::source::Source;

pub(super) fn shut_down_error() -> io::Error {
    io::Error::other("the runtime that this socket belongs to has shut down")
}

/// A registered socket's token and source. An operation looks at the source several times; to find it in the slab each
/// time would cost more than the looks.
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
    /// Adds `fd` to the reactor, with the readiness `bits` to begin with. Who drops the result calls
    /// [`leave`](Registered::leave) before.
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

    /// Takes `fd` out of the reactor. To be called once, before `fd` is closed.
    pub(super) fn leave(&self, fd: BorrowedFd<'_>) {
        self.reactor.deregister(fd, self.token);
        self.reactor.sources.release(self.token);
    }

    #[inline]
    pub(super) fn source(&self) -> &Source {
        // SAFETY: sources are never freed or moved as long as their reactor lives, and `reactor` keeps it.
        unsafe { self.source.0.as_ref() }
    }
}
