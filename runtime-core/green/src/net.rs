//! Sockets for blocking-style code: `std`'s names, and `std::io::Read` and `Write`.
//!
//! Protocol code that is generic over `Read + Write` runs on them unchanged. Each call that would block suspends the
//! green task instead of its thread.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use runtime_library::net::{self, ToSocketAddrs};

use crate::{timeout, wait};

/// A connected TCP socket: [`std::net::TcpStream`] for green tasks.
///
/// As there, a shared reference reads and writes, too, so two green tasks can use the two directions through an `Arc`.
///
/// # Panics
/// Reading and writing panic where [`wait`](crate::wait()) does.
#[derive(Debug)]
pub struct TcpStream {
    stream: net::TcpStream,
    /// In nanoseconds; 0: none.
    read_limit: AtomicU64,
    write_limit: AtomicU64,
}

/// A listening TCP socket: [`std::net::TcpListener`] for green tasks.
#[derive(Debug)]
pub struct TcpListener(net::TcpListener);

impl TcpListener {
    /// Listens on the first of `addresses` that can be bound; port 0 takes a free one.
    ///
    /// # Errors
    /// Those of `socket`, `bind` and `listen`.
    ///
    /// # Panics
    /// Where [`wait`](crate::wait()) does.
    pub fn bind(addresses: impl ToSocketAddrs) -> io::Result<Self> {
        wait(net::TcpListener::bind(addresses)).map(Self)
    }

    /// The next connection, with `TCP_NODELAY` set, and its peer's address.
    ///
    /// # Errors
    /// Those of `accept`.
    ///
    /// # Panics
    /// Where [`wait`](crate::wait()) does.
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, from) = wait(self.0.accept())?;
        stream.set_nodelay(true)?;
        Ok((stream.into(), from))
    }

    /// The address that it listens on.
    ///
    /// # Errors
    /// Those of `getsockname`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl From<net::TcpListener> for TcpListener {
    fn from(listener: net::TcpListener) -> Self {
        Self(listener)
    }
}

impl From<net::TcpStream> for TcpStream {
    fn from(stream: net::TcpStream) -> Self {
        Self {
            stream,
            read_limit: AtomicU64::new(0),
            write_limit: AtomicU64::new(0),
        }
    }
}

/// Waits for an operation, but no longer than the limit.
fn wait_within<T>(
    limit: &AtomicU64,
    operation: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    match limit.load(Relaxed) {
        0 => wait(operation),
        nanoseconds => {
            let limit = Duration::from_nanos(nanoseconds);
            timeout(limit, operation).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        }
    }
}

fn set_limit(place: &AtomicU64, limit: Option<Duration>) -> io::Result<()> {
    let nanoseconds = match limit {
        None => 0,
        Some(Duration::ZERO) => return Err(io::ErrorKind::InvalidInput.into()),
        Some(limit) => u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX),
    };
    place.store(nanoseconds, Relaxed);
    Ok(())
}

impl TcpStream {
    /// Connects to the first of `addresses` that accepts, with `TCP_NODELAY` set.
    ///
    /// # Errors
    /// Those of `socket` and `connect`.
    ///
    /// # Panics
    /// Where [`wait`](crate::wait()) does.
    pub fn connect(addresses: impl ToSocketAddrs) -> io::Result<Self> {
        let stream = wait(net::TcpStream::connect(addresses))?;
        stream.set_nodelay(true)?;
        Ok(stream.into())
    }

    /// Sets how long a read may wait. After that it fails with [`TimedOut`](io::ErrorKind::TimedOut). `None` means for
    /// ever.
    ///
    /// # Errors
    /// Of kind [`InvalidInput`](io::ErrorKind::InvalidInput) for a limit of zero, as in `std`.
    pub fn set_read_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        set_limit(&self.read_limit, limit)
    }

    /// Sets how long a write may wait, like [`set_read_timeout`](TcpStream::set_read_timeout).
    ///
    /// # Errors
    /// Same as there.
    pub fn set_write_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        set_limit(&self.write_limit, limit)
    }

    /// The socket itself, for methods that this type does not have.
    pub fn get_ref(&self) -> &net::TcpStream {
        &self.stream
    }

    /// The socket itself.
    pub fn into_inner(self) -> net::TcpStream {
        self.stream
    }

    /// Closes one direction, or both.
    ///
    /// # Errors
    /// Those of `shutdown`.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.stream.shutdown(how)
    }

    /// The address of the other end.
    ///
    /// # Errors
    /// Those of `getpeername`.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }

    /// The address of this end.
    ///
    /// # Errors
    /// Those of `getsockname`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }
}

impl Read for &TcpStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut stream = &self.stream;
        let read = poll_fn(|cx| Pin::new(&mut stream).poll_read(cx, buffer));
        wait_within(&self.read_limit, read)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let mut stream = &self.stream;
        let read = poll_fn(|cx| Pin::new(&mut stream).poll_read_vectored(cx, buffers));
        wait_within(&self.read_limit, read)
    }
}

impl Write for &TcpStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut stream = &self.stream;
        let write = poll_fn(|cx| Pin::new(&mut stream).poll_write(cx, bytes));
        wait_within(&self.write_limit, write)
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut stream = &self.stream;
        let write = poll_fn(|cx| Pin::new(&mut stream).poll_write_vectored(cx, buffers));
        wait_within(&self.write_limit, write)
    }

    /// A socket has no buffer of its own.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for TcpStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(buffers)
    }
}

impl Write for TcpStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(buffers)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
