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
use super::slab::Sources;
use super::source::Listed;
use super::token::Token;

enum Backend {
    #[cfg(target_os = "linux")]
    Epoll(epoll::Epoll),
    Portable(portable::Portable),
}

/// A set of sockets, and the kernel object that reports which of them are ready. One scheduler polls it.
pub struct Reactor {
    pub(super) sources: Sources,
    backend: Backend,
}

impl Reactor {
    /// The maximum number of events that one poll takes.
    ///
    /// What a batch of this many tasks touches (some 10 KiB for each, in the runtime and in the kernel) stays in a
    /// processor's second-level cache from the report to the attempt. The remaining events can wait in the kernel's
    /// queue.
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

    /// A reactor of kind `polling` that reports each socket once per request, as it does on systems without
    /// edge-triggered readiness. For tests of that mode on systems that have it.
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

    /// Waits up to `timeout` (`None`: for ever; zero: not at all) for events, records them, wakes the tasks that wait
    /// for them, and returns how many sockets were reported. It returns early, with none, after a
    /// [`notify`](Reactor::notify) or a signal.
    ///
    /// The scheduler must ensure that there is one caller at a time. Two would share the events between them.
    ///
    /// # Errors
    /// Errors of the kernel's wait call. An intact reactor gets none.
    pub fn poll(&self, timeout: Option<Duration>) -> io::Result<Polled> {
        let timeout = self.sources.calls.bound(timeout);
        let polled = match &self.backend {
            #[cfg(target_os = "linux")]
            Backend::Epoll(epoll) => epoll.poll(timeout, &self.sources),
            Backend::Portable(portable) => portable.poll(timeout, &self.sources),
        };
        self.sources.wake_behind_late();
        polled
    }

    /// Interrupts the poll in progress, or the next one if there is none. You can call it from any thread; repeated
    /// calls cost one write.
    pub fn notify(&self) {
        match &self.backend {
            #[cfg(target_os = "linux")]
            Backend::Epoll(epoll) => epoll.notify(),
            Backend::Portable(portable) => portable.notify(),
        }
    }

    /// Reports a socket as readable, as the kernel would.
    #[cfg(lab_shuttle)]
    pub fn report(&self, fd: BorrowedFd<'_>) {
        match &self.backend {
            Backend::Epoll(epoll) => epoll.report(fd),
            Backend::Portable(_) => unreachable!("its threads block in the kernel"),
        }
    }

    /// False if no socket is registered: you can then skip the poll.
    pub fn has_sources(&self) -> bool {
        !self.sources.is_empty()
    }

    /// From now on all operations on its sockets fail. Wakes the tasks that wait for them.
    ///
    /// For a scheduler that stops while some of its sockets still live elsewhere: nobody polls any more, so a wait
    /// would never end.
    pub fn shut_down(&self) {
        self.sources.shut_down();
    }

    /// Which kind of reactor this is.
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

    /// Tells a backend that reports once per request what is awaited now.
    pub(super) fn rearm(&self, token: Token, listed: &Listed<'_>) {
        match &self.backend {
            #[cfg(target_os = "linux")]
            Backend::Epoll(_) => {}
            Backend::Portable(portable) => portable.rearm(token, listed),
        }
    }

    /// Whether a transfer that moved less than was asked for proves that the next one would wait *and* the end of
    /// stream is reported separately from data. Readiness can then be cleared without an attempt that fails.
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
