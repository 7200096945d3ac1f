//! Halves of a stream: borrowed ones for two futures in one task, owned ones for two tasks.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

use runtime_kernel::budget::poll_consume;

/// A stream whose directions can be closed separately, and that can be read and written through a shared reference.
pub trait HalfClose {
    /// Closes one direction or both.
    ///
    /// # Errors
    /// [`NotConnected`](io::ErrorKind::NotConnected) if the connection is gone already.
    fn shutdown(&self, how: Shutdown) -> io::Result<()>;
}

/// The borrowed reading half of a stream.
#[derive(Debug)]
pub struct ReadHalf<'a, S>(pub(super) &'a S);

/// The borrowed writing half of a stream. Dropping it closes nothing.
#[derive(Debug)]
pub struct WriteHalf<'a, S>(pub(super) &'a S);

/// The owned reading half of a stream. The connection is closed when both halves are dropped.
#[derive(Debug)]
pub struct OwnedReadHalf<S>(Arc<S>);

/// The owned writing half of a stream. Dropping it closes the writing direction: the peer reads the end of the stream.
#[derive(Debug)]
pub struct OwnedWriteHalf<S: HalfClose> {
    stream: Arc<S>,
    shut_down_on_drop: bool,
}

/// The halves belong to different streams; this returns them.
#[derive(Debug)]
pub struct ReuniteError<S: HalfClose>(pub OwnedReadHalf<S>, pub OwnedWriteHalf<S>);

impl<S: HalfClose> fmt::Display for ReuniteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the two halves belong to different streams")
    }
}

impl<S: HalfClose + fmt::Debug> std::error::Error for ReuniteError<S> {}

pub(super) fn into_split<S: HalfClose>(stream: S) -> (OwnedReadHalf<S>, OwnedWriteHalf<S>) {
    let stream = Arc::new(stream);
    let write = OwnedWriteHalf {
        stream: Arc::clone(&stream),
        shut_down_on_drop: true,
    };
    (OwnedReadHalf(stream), write)
}

impl<S: HalfClose> OwnedReadHalf<S> {
    /// Joins the halves to the stream again.
    ///
    /// # Errors
    /// If `write` belongs to another stream.
    pub fn reunite(self, write: OwnedWriteHalf<S>) -> Result<S, ReuniteError<S>> {
        if !Arc::ptr_eq(&self.0, &write.stream) {
            return Err(ReuniteError(self, write));
        }
        write.forget();
        Ok(Arc::into_inner(self.0).expect("there are no more than two halves of a stream"))
    }
}

impl<S: HalfClose> OwnedWriteHalf<S> {
    /// Drops the half but leaves the writing direction open for as long as the reading half lives.
    pub fn forget(mut self) {
        self.shut_down_on_drop = false;
    }
}

impl<S: HalfClose> Drop for OwnedWriteHalf<S> {
    fn drop(&mut self) {
        if self.shut_down_on_drop {
            // It fails only if the connection is gone.
            let _ = self.stream.shutdown(Shutdown::Write);
        }
    }
}

impl<S> Deref for ReadHalf<'_, S> {
    type Target = S;
    fn deref(&self) -> &S {
        self.0
    }
}
impl<S> Deref for WriteHalf<'_, S> {
    type Target = S;
    fn deref(&self) -> &S {
        self.0
    }
}
impl<S> Deref for OwnedReadHalf<S> {
    type Target = S;
    fn deref(&self) -> &S {
        &self.0
    }
}
impl<S: HalfClose> Deref for OwnedWriteHalf<S> {
    type Target = S;
    fn deref(&self) -> &S {
        &self.stream
    }
}

fn poll_read<S>(stream: &S, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>
where
    for<'s> &'s S: AsyncRead,
{
    let mut stream = stream;
    Pin::new(&mut stream).poll_read(cx, buffer)
}

fn poll_read_vectored<S>(
    stream: &S,
    cx: &mut Context<'_>,
    buffers: &mut [IoSliceMut<'_>],
) -> Poll<io::Result<usize>>
where
    for<'s> &'s S: AsyncRead,
{
    let mut stream = stream;
    Pin::new(&mut stream).poll_read_vectored(cx, buffers)
}

fn poll_write<S>(stream: &S, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>>
where
    for<'s> &'s S: AsyncWrite,
{
    let mut stream = stream;
    Pin::new(&mut stream).poll_write(cx, buffer)
}

fn poll_write_vectored<S>(
    stream: &S,
    cx: &mut Context<'_>,
    buffers: &[IoSlice<'_>],
) -> Poll<io::Result<usize>>
where
    for<'s> &'s S: AsyncWrite,
{
    let mut stream = stream;
    Pin::new(&mut stream).poll_write_vectored(cx, buffers)
}

fn poll_close<S>(stream: &S, cx: &mut Context<'_>) -> Poll<io::Result<()>>
where
    for<'s> &'s S: AsyncWrite,
{
    let mut stream = stream;
    Pin::new(&mut stream).poll_close(cx)
}

impl<S> AsyncRead for ReadHalf<'_, S>
where
    for<'s> &'s S: AsyncRead,
{
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        poll_read(self.0, cx, buffer)
    }
    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        poll_read_vectored(self.0, cx, buffers)
    }
}

impl<S> AsyncRead for OwnedReadHalf<S>
where
    for<'s> &'s S: AsyncRead,
{
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        poll_read(&*self.0, cx, buffer)
    }
    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        poll_read_vectored(&*self.0, cx, buffers)
    }
}

impl<S> AsyncWrite for WriteHalf<'_, S>
where
    for<'s> &'s S: AsyncWrite,
{
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        poll_write(self.0, cx, buffer)
    }
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        poll_write_vectored(self.0, cx, buffers)
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        poll_consume(cx).map(Ok)
    }
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        poll_close(self.0, cx)
    }
}

impl<S: HalfClose> AsyncWrite for OwnedWriteHalf<S>
where
    for<'s> &'s S: AsyncWrite,
{
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        poll_write(&*self.stream, cx, buffer)
    }
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        poll_write_vectored(&*self.stream, cx, buffers)
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        poll_consume(cx).map(Ok)
    }
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        poll_close(&*self.stream, cx)
    }
}
