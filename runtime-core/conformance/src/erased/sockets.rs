//! Sockets with erased types.

use std::future::Future;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use runtime_library::TcpListener;

use super::boxed::BoxFuture;

/// A stream as an object.
trait DynStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> DynStream for S {}

/// A stream of the scheduler under test.
pub struct AnyStream(Box<dyn DynStream>);

impl AnyStream {
    pub(super) fn new(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self(Box::new(stream))
    }
}

impl AsyncRead for AnyStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_read(cx, buffer)
    }
    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_read_vectored(cx, buffers)
    }
}

impl AsyncWrite for AnyStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, buffer)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write_vectored(cx, buffers)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_close(cx)
    }
}

/// A listener as an object.
trait DynListener: Send + Sync {
    fn accept(&self) -> BoxFuture<'_, io::Result<(AnyStream, SocketAddr)>>;
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

impl<L> DynListener for L
where
    L: TcpListener<Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static>,
{
    fn accept(&self) -> BoxFuture<'_, io::Result<(AnyStream, SocketAddr)>> {
        let accepting = TcpListener::accept(self);
        Box::pin(async move {
            let (stream, peer) = accepting.await?;
            Ok((AnyStream::new(stream), peer))
        })
    }
    fn local_addr(&self) -> io::Result<SocketAddr> {
        TcpListener::local_addr(self)
    }
}

/// A listener of the scheduler under test.
pub struct AnyListener(Box<dyn DynListener>);

impl AnyListener {
    pub(super) fn new<L>(listener: L) -> Self
    where
        L: TcpListener<Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static>,
    {
        Self(Box::new(listener))
    }
}

impl TcpListener for AnyListener {
    type Stream = AnyStream;

    fn accept(&self) -> impl Future<Output = io::Result<(AnyStream, SocketAddr)>> + Send {
        self.0.accept()
    }
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}
