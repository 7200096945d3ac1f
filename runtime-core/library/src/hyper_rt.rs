//! hyper 1.x on any runtime of the [`Runtime`] trait: its I/O, executor and timer traits.
//!
//! ```no_run
//! use hyper::server::conn::http1;
//! use runtime_core::hyper_rt::{HyperIo, HyperTimer};
//! use runtime_core::{Runtime, TcpListener};
//!
//! async fn serve<R: Runtime>(rt: R, listener: R::TcpListener) -> std::io::Result<()> {
//!     loop {
//!         let (stream, _) = listener.accept().await?;
//!         let service = hyper::service::service_fn(|_| async {
//!             Ok::<_, std::convert::Infallible>(hyper::Response::new(String::from("hello")))
//!         });
//!         let connection = http1::Builder::new()
//!             .timer(HyperTimer::new(rt.clone()))
//!             .serve_connection(HyperIo::new(stream), service);
//!         rt.spawn(async move {
//!             let _ = connection.await;
//!         });
//!     }
//! }
//! ```
#![allow(unsafe_code)]

use std::future::Future;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_io::{AsyncRead, AsyncWrite};
use hyper::rt::{Executor, Read, ReadBufCursor, Sleep, Timer, Write};
use pin_project_lite::pin_project;

use crate::Runtime;

/// The minimum and the maximum that one read asks for.
const WINDOW: std::ops::RangeInclusive<usize> = 4 << 10..=256 << 10;

pin_project! {
    /// Adapts a `futures-io` stream to hyper's reads and writes.
    ///
    /// hyper lends memory that may be uninitialised, but `futures-io` takes only initialised memory. So what a read
    /// may fill is zeroed first: not all of the lent memory, but a window that grows while reads fill it and shrinks
    /// when they use little of it. There is no buffer in between.
    #[derive(Debug)]
    pub struct HyperIo<T> {
        #[pin]
        stream: T,
        window: usize,
        vectored: bool,
    }
}

impl<T> HyperIo<T> {
    /// Wraps a stream that may not write several buffers at once: hyper then copies small ones together.
    pub fn new(stream: T) -> Self {
        Self {
            stream,
            window: *WINDOW.start(),
            vectored: false,
        }
    }

    /// Wraps a stream whose `poll_write_vectored` writes several buffers in one system call, as this crate's sockets
    /// do.
    pub fn vectored(stream: T) -> Self {
        Self {
            vectored: true,
            ..Self::new(stream)
        }
    }

    /// The stream.
    pub fn get_ref(&self) -> &T {
        &self.stream
    }

    /// The stream.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.stream
    }

    /// The stream, for example after an upgrade.
    pub fn into_inner(self) -> T {
        self.stream
    }
}

impl<T: AsyncRead> Read for HyperIo<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut lent: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.project();
        // SAFETY: nothing initialised becomes uninitialised: only zeroes and what the stream writes go there.
        let memory = unsafe { lent.as_mut() };
        let asked = memory.len().min(*this.window);
        let target = zeroed(&mut memory[..asked]);
        let read = ready!(this.stream.poll_read(cx, target))?;
        assert!(
            read <= asked,
            "a stream read more than it was given room for"
        );
        // SAFETY: `read` is within `target`, which is initialised.
        unsafe { lent.advance(read) };
        if read == *this.window {
            *this.window = (read * 2).min(*WINDOW.end());
        } else if read < *this.window / 4 && asked == *this.window {
            *this.window = (*this.window / 2).max(*WINDOW.start());
        }
        Poll::Ready(Ok(()))
    }
}

fn zeroed(memory: &mut [MaybeUninit<u8>]) -> &mut [u8] {
    memory.fill(MaybeUninit::new(0));
    // SAFETY: all of it was just written.
    unsafe { &mut *(std::ptr::from_mut(memory) as *mut [u8]) }
}

impl<T: AsyncWrite> Write for HyperIo<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_close(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.vectored
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write_vectored(cx, buffers)
    }
}

/// Spawns hyper's background work as tasks of a runtime. Drops their handles: nobody awaits them.
#[derive(Clone, Debug)]
pub struct HyperExecutor<R>(R);

impl<R: Runtime> HyperExecutor<R> {
    /// An executor that spawns on `runtime`.
    pub fn new(runtime: R) -> Self {
        Self(runtime)
    }
}

impl<R, F> Executor<F> for HyperExecutor<R>
where
    R: Runtime,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        drop(self.0.spawn(future));
    }
}

/// A runtime's clock and sleeps, for hyper's time-outs.
#[derive(Clone, Debug)]
pub struct HyperTimer<R>(R);

impl<R: Runtime> HyperTimer<R> {
    /// A timer with `runtime`'s clock.
    pub fn new(runtime: R) -> Self {
        Self(runtime)
    }
}

impl<R: Runtime> Timer for HyperTimer<R> {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(SyncSleep::new(self.0.sleep(duration)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(SyncSleep::new(self.0.sleep_until(deadline)))
    }

    fn now(&self) -> Instant {
        self.0.now()
    }
}

/// A sleep that is `Sync`, as hyper requires. The lock is never contended, because polling has exclusive access
/// anyway.
struct SyncSleep<F>(Mutex<Pin<Box<F>>>);

impl<F> SyncSleep<F> {
    fn new(sleep: F) -> Self {
        Self(Mutex::new(Box::pin(sleep)))
    }
}

impl<F: Future<Output = ()>> Future for SyncSleep<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        sleep.as_mut().poll(cx)
    }
}

impl<F: Future<Output = ()> + Send> Sleep for SyncSleep<F> {}

#[cfg(all(test, not(lab_loom), not(lab_shuttle)))]
mod tests {
    use std::task::Waker;

    use hyper::rt::ReadBuf;

    use super::*;

    /// Yields `0, 1, 2, ...`, as many bytes as asked for, up to `most`.
    struct Counting {
        next: u8,
        most: usize,
        asked: Vec<usize>,
    }

    impl AsyncRead for Counting {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            target: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            self.asked.push(target.len());
            let length = target.len().min(self.most);
            for byte in &mut target[..length] {
                *byte = self.next;
                self.next = self.next.wrapping_add(1);
            }
            Poll::Ready(Ok(length))
        }
    }

    fn read(io: &mut HyperIo<Counting>, room: usize) -> Vec<u8> {
        let mut memory = vec![MaybeUninit::uninit(); room];
        let mut lent = ReadBuf::uninit(&mut memory);
        let mut cx = Context::from_waker(Waker::noop());
        let polled = Pin::new(io).poll_read(&mut cx, lent.unfilled());
        assert!(matches!(polled, Poll::Ready(Ok(()))));
        lent.filled().to_vec()
    }

    fn counting(most: usize) -> HyperIo<Counting> {
        HyperIo::new(Counting {
            next: 0,
            most,
            asked: Vec::new(),
        })
    }

    #[test]
    fn hyper_gets_exactly_the_bytes_of_the_stream() {
        let mut io = counting(10);
        assert_eq!(read(&mut io, 100), (0..10).collect::<Vec<_>>());
        assert_eq!(read(&mut io, 5), (10..15).collect::<Vec<_>>());
        assert_eq!(read(&mut io, 0), []);
    }

    #[test]
    fn the_zeroed_memory_grows_with_the_reads() {
        let mut io = counting(100);
        read(&mut io, 1 << 20);
        assert_eq!(io.stream.asked, [*WINDOW.start()]);

        let mut io = counting(usize::MAX);
        for _ in 0..10 {
            read(&mut io, 1 << 20);
        }
        assert_eq!(io.stream.asked.last(), Some(WINDOW.end()));

        io.stream.most = 1;
        for _ in 0..10 {
            read(&mut io, 1 << 20);
        }
        assert_eq!(io.stream.asked.last(), Some(WINDOW.start()));
    }
}
