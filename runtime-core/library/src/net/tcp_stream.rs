//! Connected TCP sockets.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use rustix::io::Errno;
use rustix::net::{SocketType, connect, getpeername, getsockname, sockopt};

use super::address::ToSocketAddrs;
use super::socket::{ambient_driver, family, internet_address, new_socket, no_address};
use super::split::{self, HalfClose, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use super::stream::Stream;
use runtime_kernel::budget::consume_budget;
use runtime_kernel::context::IoDriver;
use runtime_kernel::reactor::{Direction, Initially, Registration};

/// A connected TCP socket, read and written with the `futures-io` traits, through `&mut` or through `&`.
///
/// Reads and writes are cancel safe: an operation that did not complete has moved nothing. (This does not hold for
/// `write_all` and `read_exact`, which consist of several operations.) Closing (`poll_close`) closes the writing
/// direction only; dropping closes the connection.
#[derive(Debug)]
pub struct TcpStream {
    stream: Stream,
}

impl TcpStream {
    /// Connects to the first of `addresses` that accepts.
    ///
    /// Cancel safe: a dropped `connect` closes its socket.
    ///
    /// # Errors
    /// Those of resolving and of the last address tried.
    ///
    /// # Panics
    /// Outside a runtime.
    pub async fn connect(addresses: impl ToSocketAddrs) -> io::Result<Self> {
        consume_budget().await;
        let mut failed = no_address();
        for address in addresses.to_socket_addrs().await? {
            let driver = ambient_driver("TcpStream::connect");
            match Self::connect_on(driver, address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// Connects to `address`, and waits with `driver`. Needs no ambient runtime.
    ///
    /// # Errors
    /// Those of `socket` and `connect`.
    pub async fn connect_on(driver: IoDriver, address: SocketAddr) -> io::Result<Self> {
        // It may fail, or succeed, at once.
        consume_budget().await;
        let socket = new_socket(family(&address), SocketType::STREAM)?;
        match connect(&socket, &address) {
            Ok(()) => return Self::from_fd(socket, &driver),
            // An interrupted connect continues in the kernel.
            Err(Errno::INPROGRESS | Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let registration = Registration::new(socket, &driver, Initially::Waiting)?;
        registration
            .io(Direction::Write, |fd| {
                sockopt::socket_error(fd)??;
                match getpeername(fd) {
                    Ok(_) => Ok(()),
                    // Reported, but neither connected nor refused: not done yet.
                    Err(Errno::NOTCONN) => Err(io::ErrorKind::WouldBlock.into()),
                    Err(error) => Err(error.into()),
                }
            })
            .await?;
        Ok(Self {
            stream: Stream::new(registration, true),
        })
    }

    /// Converts a stream of the standard library: makes it non-blocking, and registers it with the ambient runtime.
    ///
    /// # Errors
    /// If it can't be made non-blocking or registered.
    ///
    /// # Panics
    /// Outside a runtime.
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Self::from_fd(stream.into(), &ambient_driver("TcpStream::from_std"))
    }

    pub(super) fn from_fd(socket: OwnedFd, driver: &IoDriver) -> io::Result<Self> {
        let registration = Registration::new(socket, driver, Initially::Ready)?;
        Ok(Self {
            stream: Stream::new(registration, true),
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
    /// [`NotConnected`](io::ErrorKind::NotConnected) if the connection is gone already.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.stream.shutdown(how)
    }

    /// Completes when a read may succeed without waiting. Cancel safe.
    ///
    /// # Errors
    /// When the runtime has shut down.
    pub async fn readable(&self) -> io::Result<()> {
        self.stream.registration().ready(Direction::Read).await?;
        Ok(())
    }

    /// Completes when a write may succeed without waiting. Cancel safe.
    ///
    /// # Errors
    /// When the runtime has shut down.
    pub async fn writable(&self) -> io::Result<()> {
        self.stream.registration().ready(Direction::Write).await?;
        Ok(())
    }

    /// The pending error of this socket in the kernel; reading it clears it.
    ///
    /// # Errors
    /// Those of `getsockopt`.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        Ok(sockopt::socket_error(self)?.err().map(Into::into))
    }

    /// The address of the other end.
    ///
    /// # Errors
    /// [`NotConnected`](io::ErrorKind::NotConnected) if the connection is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        match getpeername(self)? {
            Some(address) => internet_address(address),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// The address of this end.
    ///
    /// # Errors
    /// Those of `getsockname`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        internet_address(getsockname(self)?)
    }

    /// Sets whether small writes are sent at once (true) or collected while earlier data is in flight (false, the
    /// default).
    ///
    /// # Errors
    /// Those of `setsockopt`.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        Ok(sockopt::set_tcp_nodelay(self, nodelay)?)
    }

    /// Whether small writes are sent at once.
    ///
    /// # Errors
    /// Those of `getsockopt`.
    pub fn nodelay(&self) -> io::Result<bool> {
        Ok(sockopt::tcp_nodelay(self)?)
    }

    /// Sets how many routers a packet may pass.
    ///
    /// # Errors
    /// Those of `setsockopt`.
    pub fn set_ttl(&self, hops: u32) -> io::Result<()> {
        Ok(sockopt::set_ip_ttl(self, hops)?)
    }

    /// How many routers a packet may pass.
    ///
    /// # Errors
    /// Those of `getsockopt`.
    pub fn ttl(&self) -> io::Result<u32> {
        Ok(sockopt::ip_ttl(self)?)
    }

    /// Sets how long closing waits for unsent data. With `None`, the default, it does not wait, and the data is still
    /// sent. With zero, the connection is reset. More than zero blocks the thread that drops the stream.
    ///
    /// # Errors
    /// Those of `setsockopt`.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        Ok(sockopt::set_socket_linger(self, linger)?)
    }

    /// How long closing waits for unsent data.
    ///
    /// # Errors
    /// Those of `getsockopt`.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        Ok(sockopt::socket_linger(self)?)
    }
}

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl HalfClose for TcpStream {
    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.stream.shutdown(how)
    }
}

super::stream::futures_io_by_reference!(TcpStream, &TcpStream);
