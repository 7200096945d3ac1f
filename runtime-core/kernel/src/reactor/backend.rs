//! A reactor over one of the two backends.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

#[cfg(target_os = "linux")]
use super::epoll;
use super::kind::ReactorKind;
use super::polled::{EVENTS, Polled};
use super::portable;
use super::slab::{Sources, Token};
use super::waiters::Waiters;

enum Backend {
    #[cfg(target_os = "linux")]
    Epoll(epoll::Epoll),
    Portable(portable::Portable),
}

/// A set of sockets and the kernel object that reports which of them are ready. Polled by one scheduler.
pub struct Reactor {
    pub(super) sources: Sources,
    backend: Backend,
}

impl Reactor {
    /// The most events that one poll takes.
    ///
    /// No more than what the tasks of one batch touch, theirs and the kernel's some 10 KiB for each, stays in a
    /// processor's second cache from the report to the attempt. The rest is as well off in the kernel's queue.
    pub const EVENTS: usize = EVENTS;

    /// A reactor without sockets.
    ///
    /// # Errors
    /// When descriptors are exhausted; [`Unsupported`](io::ErrorKind::Unsupported) if this system has no reactor of
    /// that kind (`epoll` needs Linux).
    pub fn new(kind: ReactorKind) -> io::Result<Arc<Self>> {
        let backend = match kind {
            #[cfg(target_os = "linux")]
            ReactorKind::Epoll => Backend::Epoll(epoll::Epoll::new()?),
            #[cfg(not(target_os = "linux"))]
            ReactorKind::Epoll => return Err(io::ErrorKind::Unsupported.into()),
            ReactorKind::Polling => Backend::Portable(portable::Portable::new()?),
        };
        Ok(Self::with(backend))
    }

    /// A reactor of kind `polling` that reports each socket once per request, as that kind does where the system has no
    /// edge-triggered readiness. For tests of that way on systems that have it.
    ///
    /// # Errors
    /// When descriptors are exhausted.
    pub fn polling_once_per_request() -> io::Result<Arc<Self>> {
        Ok(Self::with(Backend::Portable(
            portable::Portable::new_oneshot()?,
        )))
    }

    fn with(backend: Backend) -> Arc<Self> {
        Arc::new(Self {
            sources: Sources::new(),
            backend,
        })
    }

    /// Waits up to `timeout` (`None`: for ever; zero: not at all) for events, notes them, wakes who waited for them,
    /// and returns how many sockets were reported. It returns early, with none, after a [`notify`](Reactor::notify) or
    /// a signal.
    ///
    /// One caller at a time; the scheduler sees to it. Two would share the events between them.
    ///
    /// # Errors
    /// Those of the kernel's wait call, none of which an intact reactor meets.
    pub fn poll(&self, timeout: Option<Duration>) -> io::Result<Polled> {
        match &self.backend {
            #[cfg(target_os = "linux")]
            Backend::Epoll(epoll) => epoll.poll(timeout, &self.sources),
            Backend::Portable(portable) => portable.poll(timeout, &self.sources),
        }
    }

    /// Breaks the poll in progress, or the next one if there is none. From any thread; repeated calls cost one write.
    pub fn notify(&self) {
        match &self.backend {
            #[cfg(target_os = "linux")]
            Backend::Epoll(epoll) => epoll.notify(),
            Backend::Portable(portable) => portable.notify(),
        }
    }

    /// False if no socket is registered: then polling can be skipped.
    pub fn has_sources(&self) -> bool {
        !self.sources.is_empty()
    }

    /// Fails all operations of its sockets from now on, and wakes the tasks that wait for them.
    ///
    /// For a scheduler that stops while sockets live on elsewhere: nobody polls any more, so a wait would never end.
    pub fn shut_down(&self) {
        self.sources.shut_down();
    }

    /// Which kind this is.
    pub fn kind(&self) -> ReactorKind {
        match &self.backend {
            #[cfg(target_os = "linux")]
            Backend::Epoll(_) => ReactorKind::Epoll,
            Backend::Portable(_) => ReactorKind::Polling,
        }
    }

    pub(super) fn register(&self, fd: BorrowedFd<'_>, token: Token) -> io::Result<()> {
        match &self.backend {
            #[cfg(target_os = "linux")]
            Backend::Epoll(epoll) => epoll.register(fd, token),
            Backend::Portable(portable) => portable.register(fd, token),
        }
    }

    pub(super) fn deregister(&self, fd: BorrowedFd<'_>, token: Token) {
        match &self.backend {
            #[cfg(target_os = "linux")]
            Backend::Epoll(epoll) => epoll.deregister(fd),
            Backend::Portable(portable) => portable.deregister(fd, token),
        }
    }

    /// A backend that reports once per request is told what is awaited now.
    pub(super) fn rearm(&self, token: Token, waiters: &Waiters) {
        match &self.backend {
            #[cfg(target_os = "linux")]
            Backend::Epoll(_) => {}
            Backend::Portable(portable) => portable.rearm(token, waiters),
        }
    }

    /// Whether a transfer that moved less than was asked for proves that the next one would wait *and* the end of
    /// stream is reported apart from data, so that readiness can be cleared without an attempt that fails.
    pub(super) fn short_transfer_clears(&self) -> bool {
        match &self.backend {
            #[cfg(target_os = "linux")]
            Backend::Epoll(_) => true,
            Backend::Portable(_) => false,
        }
    }
}

impl fmt::Debug for Reactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor")
            .field("kind", &self.kind())
            .finish_non_exhaustive()
    }
}
