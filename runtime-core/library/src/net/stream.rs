//! A connected byte stream of any family: what `TcpStream` and `UnixStream` have in common.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll};

use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, send, sendmsg};

use runtime_kernel::budget::poll_consume;
use runtime_kernel::reactor::{Direction, Registration};

/// A write to a connection that is gone is an error, never a signal.
#[cfg(not(target_vendor = "apple"))]
const SEND: SendFlags = SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")]
const SEND: SendFlags = SendFlags::empty();

#[derive(Debug)]
pub(super) struct Stream {
    registration: Registration,
    /// Whether a short transfer proves that the next one would wait. True for TCP. False for Unix sockets: a read
    /// stops where descriptors or other credentials were passed, with more data behind them.
    short_means_empty: bool,
}

impl Stream {
    pub(super) fn new(registration: Registration, short_means_empty: bool) -> Self {
        Self {
            registration,
            short_means_empty,
        }
    }

    pub(super) fn registration(&self) -> &Registration {
        &self.registration
    }

    fn poll_transfer(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        wanted: usize,
        operation: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        if self.short_means_empty {
            self.registration
                .poll_transfer(cx, direction, wanted, operation)
        } else {
            self.registration.poll_io(cx, direction, operation)
        }
    }

    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return poll_consume(cx).map(|()| Ok(0));
        }
        self.poll_transfer(cx, Direction::Read, buffer.len(), |fd| {
            let (_, read) = recv(fd, &mut *buffer, RecvFlags::empty())?;
            Ok(read)
        })
    }

    pub(super) fn poll_read_vectored(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        // Otherwise the system's limit would make a full read look short.
        let count = buffers.len().min(MAX_BUFFERS);
        let buffers = &mut buffers[..count];
        let wanted = buffers.iter().map(|buffer| buffer.len()).sum();
        if wanted == 0 {
            return poll_consume(cx).map(|()| Ok(0));
        }
        self.poll_transfer(cx, Direction::Read, wanted, |fd| {
            Ok(rustix::io::readv(fd, buffers)?)
        })
    }

    pub(super) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return poll_consume(cx).map(|()| Ok(0));
        }
        self.poll_transfer(cx, Direction::Write, buffer.len(), |fd| {
            Ok(send(fd, buffer, SEND)?)
        })
    }

    pub(super) fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // Buffers beyond the system's limit are left for the next call.
        let buffers = &buffers[..buffers.len().min(MAX_BUFFERS)];
        let wanted = buffers.iter().map(|buffer| buffer.len()).sum();
        if wanted == 0 {
            return poll_consume(cx).map(|()| Ok(0));
        }
        self.poll_transfer(cx, Direction::Write, wanted, |fd| {
            let mut control = SendAncillaryBuffer::default();
            Ok(sendmsg(fd, buffers, &mut control, SEND)?)
        })
    }

    /// Reads without consuming.
    pub(super) async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.registration
            .io(Direction::Read, |fd| {
                let (_, read) = recv(fd, &mut *buffer, RecvFlags::PEEK)?;
                Ok(read)
            })
            .await
    }

    pub(super) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let how = match how {
            Shutdown::Read => rustix::net::Shutdown::Read,
            Shutdown::Write => rustix::net::Shutdown::Write,
            Shutdown::Both => rustix::net::Shutdown::Both,
        };
        Ok(rustix::net::shutdown(self.as_fd(), how)?)
    }

    /// For `poll_close`: closing the writing side of a connection that is already gone is no error.
    pub(super) fn close_write(&self) -> io::Result<()> {
        match self.shutdown(Shutdown::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        }
    }
}

/// The minimum that a system must take in one vectored call is 16; all common ones take 1024.
const MAX_BUFFERS: usize = 1024;

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.registration.as_fd()
    }
}

/// The `futures-io` traits for a type with a field `stream: Stream`, and for references to it. A macro, because a
/// blanket implementation over a private trait may not cover `&T` for foreign traits.
macro_rules! futures_io_by_reference {
    ($($type:ty),*) => {$(
        impl AsyncRead for $type {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                self.stream.poll_read(cx, buffer)
            }
            fn poll_read_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                self.stream.poll_read_vectored(cx, buffers)
            }
        }

        impl AsyncWrite for $type {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.stream.poll_write(cx, buffer)
            }
            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.stream.poll_write_vectored(cx, buffers)
            }
            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                ::runtime_kernel::budget::poll_consume(cx).map(Ok)
            }
            fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                ::runtime_kernel::budget::poll_consume(cx).map(|()| self.stream.close_write())
            }
        }
    )*};
}
pub(super) use futures_io_by_reference;
