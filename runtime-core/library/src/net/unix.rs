//! Unix domain stream sockets.

use std::ffi::OsStr;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrAny, SocketAddrUnix, SocketType, connect, getpeername, getsockname,
};

use super::accept::Acceptor;
use super::socket::{ambient_driver, new_socket};
use super::split::{self, HalfClose, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use super::stream::Stream;
use runtime_kernel::budget::consume_budget;
use runtime_kernel::context::IoDriver;
use runtime_kernel::reactor::{Initially, Registration};
use runtime_kernel::time;

/// The pause between two attempts to connect to a listener whose queue is full: the first one, and the maximum. Each
/// pause is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const MAX_PAUSE: Duration = Duration::from_millis(64);

fn unix_address(address: SocketAddrAny) -> io::Result<SocketAddr> {
    let address = SocketAddrUnix::try_from(address)?;
    #[cfg(target_os = "linux")]
    if let Some(name) = address.abstract_name()
        && !name.is_empty()
    {
        use std::os::linux::net::SocketAddrExt;
        return SocketAddr::from_abstract_name(name);
    }
    // No path, and no name or an empty one: the address of a socket that was not bound.
    let path = address.path();
    let path = path.as_ref().map_or(&[][..], |path| path.to_bytes());
    SocketAddr::from_pathname(Path::new(OsStr::from_bytes(path)))
}

/// A listening Unix socket. Any number of tasks may accept from it. Dropping it does not remove its file; that is up
/// to you.
#[derive(Debug)]
pub struct UnixListener {
    acceptor: Acceptor,
}

impl UnixListener {
    /// Creates the file `path`, which must not exist, and listens there.
    ///
    /// # Errors
    /// Those of `socket`, `bind` and `listen`.
    ///
    /// # Panics
    /// Outside a runtime.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::bind_on(ambient_driver("UnixListener::bind"), path)
    }

    /// Like [`bind`](UnixListener::bind), but waits with `driver`. Needs no ambient runtime.
    ///
    /// # Errors
    /// Those of `socket`, `bind` and `listen`.
    pub fn bind_on(driver: IoDriver, path: impl AsRef<Path>) -> io::Result<Self> {
        let listener = std::os::unix::net::UnixListener::bind(path)?;
        Self::from_std_on(listener, &driver)
    }

    /// Converts a listener of the standard library: makes it non-blocking, and registers it with the ambient runtime.
    ///
    /// # Errors
    /// If it can't be made non-blocking or registered.
    ///
    /// # Panics
    /// Outside a runtime.
    pub fn from_std(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        Self::from_std_on(listener, &ambient_driver("UnixListener::from_std"))
    }

    fn from_std_on(
        listener: std::os::unix::net::UnixListener,
        driver: &IoDriver,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let registration = Registration::new(listener.into(), driver, Initially::Ready)?;
        Ok(Self {
            acceptor: Acceptor::new(registration),
        })
    }

    /// The next connection, and the address of its other end, which is usually unnamed.
    ///
    /// Cancel safe, and in turn, like [`TcpListener::accept`](super::TcpListener::accept).
    ///
    /// # Errors
    /// The same as those of [`TcpListener::accept`](super::TcpListener::accept), with the same pause when descriptors
    /// are exhausted.
    pub async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let (socket, peer) = self.acceptor.accept().await?;
        let peer = match peer {
            Some(peer) => unix_address(peer)?,
            None => SocketAddr::from_pathname("")?,
        };
        let driver = self.acceptor.registration().driver();
        Ok((UnixStream::from_fd(socket, &driver)?, peer))
    }

    /// The address that it listens on.
    ///
    /// # Errors
    /// Those of `getsockname`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        unix_address(getsockname(self)?)
    }
}

impl AsFd for UnixListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.acceptor.as_fd()
    }
}

/// A connected Unix socket, read and written with the `futures-io` traits, through `&mut` or through `&`.
///
/// Reads and writes are cancel safe. Closing (`poll_close`) closes the writing direction only; dropping closes the
/// connection.
#[derive(Debug)]
pub struct UnixStream {
    stream: Stream,
}

impl UnixStream {
    /// Connects to the listener at `path`.
    ///
    /// While the listener's queue is full, it tries again after pauses of 1 to 64 ms, because Linux has no event for
    /// free room. Threads in a blocking `connect` therefore come first.
    ///
    /// Cancel safe: a dropped `connect` closes its socket, and the listener does not notice.
    ///
    /// # Errors
    /// Those of `socket` and `connect`.
    ///
    /// # Panics
    /// Outside a runtime.
    pub async fn connect(path: impl AsRef<Path> + Send) -> io::Result<Self> {
        consume_budget().await;
        let driver = ambient_driver("UnixStream::connect");
        let address = SocketAddrUnix::new(path.as_ref())?;
        let socket = new_socket(AddressFamily::UNIX, SocketType::STREAM)?;
        let mut pause = FIRST_PAUSE;
        loop {
            match connect(&socket, &address) {
                Ok(()) => return Self::from_fd(socket, &driver),
                // The queue is full. The socket is unchanged, and may be connected later.
                Err(Errno::AGAIN) => {
                    time::sleep(pause).await;
                    pause = (2 * pause).min(MAX_PAUSE);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Two streams that are connected with each other.
    ///
    /// # Errors
    /// Those of `socketpair`.
    ///
    /// # Panics
    /// Outside a runtime.
    pub fn pair() -> io::Result<(Self, Self)> {
        Self::pair_on(&ambient_driver("UnixStream::pair"))
    }

    /// Like [`pair`](UnixStream::pair), but waits with `driver`. Needs no ambient runtime.
    ///
    /// # Errors
    /// Those of `socketpair`.
    pub fn pair_on(driver: &IoDriver) -> io::Result<(Self, Self)> {
        let (one, other) = std::os::unix::net::UnixStream::pair()?;
        one.set_nonblocking(true)?;
        other.set_nonblocking(true)?;
        Ok((
            Self::from_fd(one.into(), driver)?,
            Self::from_fd(other.into(), driver)?,
        ))
    }

    /// Converts a stream of the standard library: makes it non-blocking, and registers it with the ambient runtime.
    ///
    /// # Errors
    /// If it can't be made non-blocking or registered.
    ///
    /// # Panics
    /// Outside a runtime.
    pub fn from_std(stream: std::os::unix::net::UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Self::from_fd(stream.into(), &ambient_driver("UnixStream::from_std"))
    }

    fn from_fd(socket: OwnedFd, driver: &IoDriver) -> io::Result<Self> {
        let registration = Registration::new(socket, driver, Initially::Ready)?;
        Ok(Self {
            stream: Stream::new(registration, false),
        })
    }

    /// Two halves that borrow the stream, for two futures of one task.
    pub fn split(&mut self) -> (ReadHalf<'_, Self>, WriteHalf<'_, Self>) {
        (ReadHalf(self), WriteHalf(self))
    }

    /// Two halves that own the stream, for two tasks. Dropping the writing one closes the writing direction.
    pub fn into_split(self) -> (OwnedReadHalf<Self>, OwnedWriteHalf<Self>) {
        split::into_split(self)
    }

    /// Reads without consuming: the next read returns the same bytes again. 0 at the end of the stream. Cancel safe.
    ///
    /// # Errors
    /// Those of `recv`.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.peek(buffer).await
    }

    /// Closes one direction or both; the peer reads the end of the stream when the writing direction is closed.
    ///
    /// # Errors
    /// Those of `shutdown`.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.stream.shutdown(how)
    }

    /// The address of the other end.
    ///
    /// # Errors
    /// [`NotConnected`](io::ErrorKind::NotConnected) if the connection is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        match getpeername(self)? {
            Some(address) => unix_address(address),
            None => SocketAddr::from_pathname(""),
        }
    }

    /// The address of this end.
    ///
    /// # Errors
    /// Those of `getsockname`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        unix_address(getsockname(self)?)
    }
}

impl AsFd for UnixStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl HalfClose for UnixStream {
    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.stream.shutdown(how)
    }
}

super::stream::futures_io_by_reference!(UnixStream, &UnixStream);
