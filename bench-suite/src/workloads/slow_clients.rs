//! Protects servers against clients that send half a request and no more.
//!
//! Each such client would occupy a connection, a task and, if tasks are threads, a thread forever. hyper has a time-out
//! for heads. But it also counts while a connection is idle between two requests, which is legitimate for a client with
//! a low rate, and it sets a timer for each request. [`TimeoutStream`] observes the bytes, and sets a timer only when
//! it has to wait in the middle of a request.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use runtime_core::Runtime;

/// The time limit for a request's head, counted from the first wait within it, and the same for its body.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The end of a request's head.
const END_OF_HEAD: [u8; 4] = *b"\r\n\r\n";

/// A stream whose reads fail with [`TimedOut`](io::ErrorKind::TimedOut) if a head has begun and does not end.
///
/// If the bytes so far end with the end of a head, the request is assumed to be complete, and the stream may wait
/// forever. Otherwise they end in the middle of a head or with the end of a body. In both cases the next end of a head
/// must arrive within [`REQUEST_TIMEOUT`] of the first wait. If a head announces a body that does not arrive, the
/// reader of the body must handle it.
pub(crate) struct TimeoutStream<S, R> {
    stream: S,
    rt: R,
    /// The last four bytes that were read.
    tail: [u8; 4],
    /// The timer, from the first wait on.
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// No field is structurally pinned.
impl<S: Unpin, R> Unpin for TimeoutStream<S, R> {}

impl<S, R> TimeoutStream<S, R> {
    pub(crate) fn new(stream: S, rt: R) -> Self {
        Self {
            stream,
            rt,
            // No head has begun.
            tail: END_OF_HEAD,
            waiting: None,
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        for &byte in &bytes[bytes.len().saturating_sub(self.tail.len())..] {
            self.tail.rotate_left(1);
            self.tail[3] = byte;
        }
        if self.tail == END_OF_HEAD {
            self.waiting = None;
        }
    }
}

impl<S: AsyncRead + Unpin, R: Runtime> AsyncRead for TimeoutStream<S, R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.stream).poll_read(cx, buffer);
        match &polled {
            Poll::Ready(Ok(length)) => this.read(&buffer[..*length]),
            Poll::Pending if this.tail != END_OF_HEAD => {
                let rt = &this.rt;
                let waiting = this
                    .waiting
                    .get_or_insert_with(|| Box::pin(rt.sleep(REQUEST_TIMEOUT)));
                if waiting.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
            }
            Poll::Ready(Err(_)) | Poll::Pending => {}
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin, R> AsyncWrite for TimeoutStream<S, R> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // The server responds, so the next wait is for another request.
        self.waiting = None;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_s_end_is_found_across_reads() {
        let mut stream = TimeoutStream::new((), ());
        for (bytes, is_whole) in [
            (&b""[..], true),
            (b"GET / HTTP/1.1\r\n", false),
            (b"\r", false),
            (b"\n", true),
            (b"G", false),
            (b"ET / HTTP/1.1\r\nHost: x\r\n\r\n", true),
        ] {
            stream.read(bytes);
            assert_eq!(stream.tail == END_OF_HEAD, is_whole, "{bytes:?}");
        }
    }
}
