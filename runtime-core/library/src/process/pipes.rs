//! A child's standard streams: pipes with the `futures-io` traits.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};

use runtime_kernel::budget::poll_consume;
use runtime_kernel::context::IoDriver;
use runtime_kernel::reactor::{Direction, Initially, Registration};

/// Our end of a pipe, non-blocking from now on.
fn register(pipe: OwnedFd, driver: &IoDriver) -> io::Result<Registration> {
    rustix::io::ioctl_fionbio(&pipe, true)?;
    Registration::new(pipe, driver, Initially::Ready)
}

/// The writing end of a child's input. Dropping or closing it ends that input.
///
/// Writes are cancel safe. Writing to a child that has closed its input is [`BrokenPipe`](io::ErrorKind::BrokenPipe).
#[derive(Debug)]
pub struct ChildStdin {
    /// `None` once it was closed.
    pipe: Option<Registration>,
}

impl ChildStdin {
    pub(super) fn new(pipe: OwnedFd, driver: &IoDriver) -> io::Result<Self> {
        Ok(Self {
            pipe: Some(register(pipe, driver)?),
        })
    }
}

impl AsyncWrite for ChildStdin {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(pipe) = &self.pipe else {
            return poll_consume(cx).map(|()| Err(io::ErrorKind::BrokenPipe.into()));
        };
        pipe.poll_io(cx, Direction::Write, |fd| {
            Ok(rustix::io::write(fd, buffer)?)
        })
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        poll_consume(cx).map(Ok)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(poll_consume(cx));
        self.pipe = None;
        Poll::Ready(Ok(()))
    }
}

/// The reading end of a child's output. Reads are cancel safe.
#[derive(Debug)]
pub struct ChildStdout {
    pipe: Registration,
}

/// The reading end of a child's error output. Reads are cancel safe.
#[derive(Debug)]
pub struct ChildStderr {
    pipe: Registration,
}

impl ChildStdout {
    pub(super) fn new(pipe: OwnedFd, driver: &IoDriver) -> io::Result<Self> {
        let pipe = register(pipe, driver)?;
        Ok(Self { pipe })
    }
}

impl ChildStderr {
    pub(super) fn new(pipe: OwnedFd, driver: &IoDriver) -> io::Result<Self> {
        let pipe = register(pipe, driver)?;
        Ok(Self { pipe })
    }
}

fn poll_read(
    pipe: &Registration,
    cx: &mut Context<'_>,
    buffer: &mut [u8],
) -> Poll<io::Result<usize>> {
    if buffer.is_empty() {
        return poll_consume(cx).map(|()| Ok(0));
    }
    pipe.poll_io(cx, Direction::Read, |fd| {
        Ok(rustix::io::read(fd, &mut *buffer)?)
    })
}

impl AsyncRead for ChildStdout {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        poll_read(&self.pipe, cx, buffer)
    }
}

impl AsyncRead for ChildStderr {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        poll_read(&self.pipe, cx, buffer)
    }
}

impl AsFd for ChildStdout {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

impl AsFd for ChildStderr {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}
