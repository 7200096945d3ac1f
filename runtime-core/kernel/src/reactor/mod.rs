#![doc = include_str!("README.md")]

#[cfg(target_os = "linux")]
#[cfg_attr(lab_shuttle, path = "without_sockets.rs")]
mod epoll;
#[cfg(all(target_os = "linux", not(lab_shuttle)))]
mod epoll_wait;
pub mod own_thread;
mod portable;
mod registered;
mod registration;
mod slab;
mod source;
mod waiters;

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

pub use registration::{Initially, Io, Ready, Registration};
use rustix::event::Timespec;
use slab::{Sources, Token};
use source::ready;
use waiters::Waiters;

/// How readiness is asked of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReactorKind {
    /// Our own use of Linux's epoll: one system call per poll.
    Epoll,
    /// The `polling` crate, which has a backend for every Unix.
    Polling,
}

impl ReactorKind {
    /// All kinds that this platform has, the default first.
    pub const ALL: &[Self] = if cfg!(target_os = "linux") {
        &[Self::Epoll, Self::Polling]
    } else {
        &[Self::Polling]
    };
}

impl Default for ReactorKind {
    /// `Epoll` on Linux, `Polling` elsewhere.
    fn default() -> Self {
        Self::ALL[0]
    }
}

impl fmt::Display for ReactorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Epoll => "epoll",
            Self::Polling => "polling",
        })
    }
}

/// The text names no [`ReactorKind`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownReactorKind(String);

impl fmt::Display for UnknownReactorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no reactor is called `{}`: use `epoll` or `polling`",
            self.0
        )
    }
}

impl std::error::Error for UnknownReactorKind {}

impl FromStr for ReactorKind {
    type Err = UnknownReactorKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "epoll" => Ok(Self::Epoll),
            "polling" => Ok(Self::Polling),
            _ => Err(UnknownReactorKind(text.to_owned())),
        }
    }
}

/// What a socket is awaited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Reading, or accepting.
    Read = 0,
    /// Writing, or being connected.
    Write = 1,
}

impl Direction {
    fn mask(self) -> u8 {
        match self {
            Self::Read => ready::READ,
            Self::Write => ready::WRITE,
        }
    }

    /// The part of the mask that a short transfer proves to be over.
    fn transient(self) -> u8 {
        match self {
            Self::Read => ready::READABLE,
            Self::Write => ready::WRITABLE,
        }
    }
}

/// Readiness as it was seen before an attempt; clearing it clears nothing newer.
#[derive(Clone, Copy, Debug)]
pub struct ReadyEvent {
    tick: u32,
    bits: u8,
    direction: Direction,
}

/// What a poll has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Polled {
    /// How many sockets were reported.
    pub sockets: usize,
    /// The kernel has given as many events as a poll takes at once: there may be more.
    pub is_full: bool,
}

enum Backend {
    #[cfg(target_os = "linux")]
    Epoll(epoll::Epoll),
    Portable(portable::Portable),
}

/// A set of sockets and the kernel object that reports which of them are ready. Polled by one scheduler.
pub struct Reactor {
    sources: Sources,
    backend: Backend,
}

impl Reactor {
    /// The most events that one poll takes.
    ///
    /// No more than what the tasks of one batch touch, theirs and the kernel's some 10 KiB for each, stays in a
    /// processor's second cache from the report to the attempt. The rest is as well off in the kernel's queue.
    pub const EVENTS: usize = 64;

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

    fn register(&self, fd: BorrowedFd<'_>, token: Token) -> io::Result<()> {
        match &self.backend {
            #[cfg(target_os = "linux")]
            Backend::Epoll(epoll) => epoll.register(fd, token),
            Backend::Portable(portable) => portable.register(fd, token),
        }
    }

    fn deregister(&self, fd: BorrowedFd<'_>, token: Token) {
        match &self.backend {
            #[cfg(target_os = "linux")]
            Backend::Epoll(epoll) => epoll.deregister(fd),
            Backend::Portable(portable) => portable.deregister(fd, token),
        }
    }

    /// A backend that reports once per request is told what is awaited now.
    fn rearm(&self, token: Token, waiters: &Waiters) {
        match &self.backend {
            #[cfg(target_os = "linux")]
            Backend::Epoll(_) => {}
            Backend::Portable(portable) => portable.rearm(token, waiters),
        }
    }

    /// Whether a transfer that moved less than was asked for proves that the next one would wait *and* the end of
    /// stream is reported apart from data, so that readiness can be cleared without an attempt that fails.
    fn short_transfer_clears(&self) -> bool {
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

fn shut_down_error() -> io::Error {
    io::Error::other("the runtime that this socket belongs to has shut down")
}

/// `duration` for the kernel; one beyond its range is cut to 100 years.
fn timespec(duration: Duration) -> Timespec {
    const LONGEST: u64 = 100 * 366 * 24 * 3600;
    Timespec {
        tv_sec: duration.as_secs().min(LONGEST) as i64,
        tv_nsec: i64::from(duration.subsec_nanos()) as _,
    }
}

#[cfg(all(test, not(lab_loom), not(lab_shuttle)))]
mod tests;
