//! Accepting, for TCP and Unix listeners: which errors are skipped, and how exhaustion does not cause spinning.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use runtime_kernel::primitives::real_locks::Mutex;
use rustix::io::Errno;
use rustix::net::SocketAddrAny;

use runtime_kernel::context;
use runtime_kernel::reactor::{Direction, Registration};
use runtime_kernel::time;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The pause doubles this many times: up to 400 ms.
const DOUBLINGS: u32 = 3;

/// A listening socket of any family.
#[derive(Debug)]
pub(super) struct Acceptor {
    registration: Registration,
    /// The number of accepts that failed because descriptors or memory ran out, since the last one that did not.
    exhausted: AtomicU32,
    /// When the next accept may try; only valid while `exhausted` is not 0.
    not_before: Mutex<Option<Instant>>,
}

impl Acceptor {
    pub(super) fn new(registration: Registration) -> Self {
        Self {
            registration,
            exhausted: AtomicU32::new(0),
            not_before: Mutex::new(None),
        }
    }

    pub(super) fn registration(&self) -> &Registration {
        &self.registration
    }

    /// The next connection. Cancel safe: it takes a connection only if it completes.
    pub(super) async fn accept(&self) -> io::Result<(OwnedFd, Option<SocketAddrAny>)> {
        // Relaxed: a hint that costs at worst one attempt.
        if self.exhausted.load(Ordering::Relaxed) != 0 {
            self.pause().await;
        }
        let accepted = self.registration.io(Direction::Read, accept_one).await;
        match &accepted {
            Ok(_) => {
                if self.exhausted.load(Ordering::Relaxed) != 0 {
                    self.exhausted.store(0, Ordering::Relaxed);
                }
            }
            Err(error) if is_exhaustion(error) => {
                let before = self.exhausted.fetch_add(1, Ordering::Relaxed);
                let pause = FIRST_PAUSE * (1 << before.min(DOUBLINGS));
                *self.not_before.lock() = Some(time::now() + pause);
            }
            Err(_) => {}
        }
        accepted
    }

    /// Outside a runtime there is no timer to wait with, so the caller's own pace has to do.
    async fn pause(&self) {
        let not_before = *self.not_before.lock();
        if let Some(not_before) = not_before
            && context::try_with(|_| ()).is_some()
        {
            time::sleep_until(not_before).await;
        }
    }
}

impl AsFd for Acceptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.registration.as_fd()
    }
}

fn accept_one(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, Option<SocketAddrAny>)> {
    loop {
        match accept_nonblocking(listener) {
            Ok(accepted) => return Ok(accepted),
            Err(error) if died_in_the_queue(error) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(not(target_vendor = "apple"))]
fn accept_nonblocking(
    listener: BorrowedFd<'_>,
) -> rustix::io::Result<(OwnedFd, Option<SocketAddrAny>)> {
    use rustix::net::{SocketFlags, acceptfrom_with};
    acceptfrom_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)
}

#[cfg(target_vendor = "apple")]
fn accept_nonblocking(
    listener: BorrowedFd<'_>,
) -> rustix::io::Result<(OwnedFd, Option<SocketAddrAny>)> {
    let accepted = rustix::net::acceptfrom(listener)?;
    rustix::io::fcntl_setfd(&accepted.0, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&accepted.0, true)?;
    Ok(accepted)
}

/// An error of the connection, not of the listener; the kernel has removed the connection from the queue.
fn died_in_the_queue(error: Errno) -> bool {
    matches!(
        error,
        Errno::CONNABORTED
            | Errno::INTR
            | Errno::PROTO
            | Errno::NETDOWN
            | Errno::NETUNREACH
            | Errno::HOSTDOWN
            | Errno::HOSTUNREACH
    )
}

fn is_exhaustion(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
    )
}

/// Whether the listener should accept again after this error: descriptors or memory were exhausted, or the error
/// concerned only the connection, which is gone (a firewall forbade it, it could not be registered, or its peer has no
/// address any more).
pub(super) fn is_passing(error: &io::Error) -> bool {
    is_exhaustion(error)
        || error.kind() == io::ErrorKind::NotConnected
        || matches!(
            Errno::from_io_error(error),
            Some(Errno::PERM | Errno::NOSPC)
        )
}
