//! tokio under our traits, in both flavours: several work-stealing workers, and one thread.
//!
//! The runtime handle holds nothing. It uses tokio's ambient runtime, as programs on tokio do (`tokio::spawn`). With a
//! `tokio::runtime::Handle` instead, each task that spawns others would clone an `Arc`, on a counter that all workers
//! share. Therefore, use the handle only from tasks and blocking threads of that runtime.
//!
//! The flavours have different launchers and one handle type: `tokio::spawn` and the other functions look up the
//! flavour in any case, so a program is compiled once for both.
//!
//! tokio has hooks for spawns and polls only if the whole program is compiled with `tokio_unstable`. Therefore `lab
//! trace` wraps the futures that it spawns, and uses the hooks for parking threads. For all other commands this costs a
//! branch.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_io::{AsyncRead, AsyncWrite};
use runtime_core::time::Elapsed;
use runtime_core::trace::follow;
use runtime_core::{
    Capabilities, ChannelReceiver, ChannelSender, JoinError, Launch, LaunchConfig, Metrics,
    Runtime, TaskHandle, TcpListener,
};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::runtime::{Builder, RuntimeFlavor};
use tokio::sync::mpsc;

use crate::foreign::Foreign;
use crate::launcher::Reactor;
use crate::registry::{Registry, RuntimeInfo};
use crate::workloads::primitives::Tokios;

/// Adds both flavours, under every workload over `Runtime`.
pub(crate) fn register(registry: &mut Registry) {
    let info = RuntimeInfo::new(MULTI_THREAD, "tokio with several workers");
    let info = info.launched_by::<TokioMt>(Reactor::Fixed("epoll"));
    let info = info.followed_by(set_followed);
    registry.add_runtime::<TokioMt, Tokios>(info);
    let info = RuntimeInfo::new(CURRENT_THREAD, "tokio on one thread");
    let info = info.launched_by::<TokioCt>(Reactor::Fixed("epoll"));
    let info = info.followed_by(set_followed);
    registry.add_runtime::<TokioCt, Tokios>(info);
}

const MULTI_THREAD: &str = "tokio-mt";
const CURRENT_THREAD: &str = "tokio-ct";

/// Whether tasks spawned from now on are followed for the recorder.
static IS_FOLLOWED: AtomicBool = AtomicBool::new(false);

fn set_followed(is_followed: bool) {
    IS_FOLLOWED.store(is_followed, Relaxed);
}

#[inline]
fn is_followed() -> bool {
    // Relaxed is enough, because it is set before a runtime starts.
    IS_FOLLOWED.load(Relaxed)
}

/// tokio with several workers: a queue each, a LIFO slot, work stealing.
#[derive(Clone, Copy, Debug)]
pub struct TokioMt;

impl Launch for TokioMt {
    type Runtime = Tokio;

    fn run<F, R>(config: &LaunchConfig, root: F) -> io::Result<R::Output>
    where
        F: FnOnce(Tokio) -> R + Send + 'static,
        R: Future + Send + 'static,
        R::Output: Send + 'static,
    {
        config.check_names::<Self>(MULTI_THREAD)?;
        let mut builder = Builder::new_multi_thread();
        run_on(builder.worker_threads(config.workers), root)
    }
}

/// tokio with one loop on one thread. Its tasks must still be `Send`.
#[derive(Clone, Copy, Debug)]
pub struct TokioCt;

impl Launch for TokioCt {
    type Runtime = Tokio;

    fn run<F, R>(config: &LaunchConfig, root: F) -> io::Result<R::Output>
    where
        F: FnOnce(Tokio) -> R + Send + 'static,
        R: Future + Send + 'static,
        R::Output: Send + 'static,
    {
        config.check_names::<Self>(CURRENT_THREAD)?;
        run_on(&mut Builder::new_current_thread(), root)
    }
}

fn run_on<F, R>(builder: &mut Builder, root: F) -> io::Result<R::Output>
where
    F: FnOnce(Tokio) -> R,
    R: Future + Send + 'static,
    R::Output: Send + 'static,
{
    if is_followed() {
        let workers = Arc::new(follow::Workers::default());
        let awake = Arc::clone(&workers);
        builder.on_thread_park(move || workers.parks());
        builder.on_thread_unpark(move || awake.unparks());
    }
    let runtime = builder.enable_all().build()?;
    let outcome = runtime.block_on(async { Tokio.spawn(root(Tokio)).0.await });
    // A blocking job may be waiting for something that never happens.
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(
        outcome.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(payload) => std::panic::resume_unwind(payload),
            Err(error) => panic!("the root task ended without an output: {error}"),
        }),
    )
}

/// The handle of either flavour.
#[derive(Clone, Copy, Debug)]
pub struct Tokio;

impl Runtime for Tokio {
    type JoinHandle<T: Send + 'static> = Handle<T>;
    type TcpListener = Listener;
    type TcpStream = Stream;
    type Sender<T: Send + 'static> = Sender<T>;
    type Receiver<T: Send + 'static> = Receiver<T>;

    fn name(&self) -> &'static str {
        match tokio::runtime::Handle::current().runtime_flavor() {
            RuntimeFlavor::CurrentThread => CURRENT_THREAD,
            _ => MULTI_THREAD,
        }
    }

    fn capabilities(&self) -> Capabilities {
        let workers = tokio::runtime::Handle::current().metrics().num_workers();
        Capabilities {
            workers: Some(workers),
            parallel: workers > 1,
            preemptive: false,
            migrates_tasks: workers > 1,
        }
    }

    fn metrics(&self) -> Metrics {
        let mut metrics = Metrics::default();
        if let Ok(handle) = tokio::runtime::Handle::try_current() {
            metrics.live_tasks = Some(handle.metrics().num_alive_tasks() as u64);
        }
        metrics
    }

    #[track_caller]
    fn spawn<T>(&self, future: T) -> Handle<T::Output>
    where
        T: Future + Send + 'static,
        T::Output: Send + 'static,
    {
        if is_followed() {
            return Foreign(tokio::spawn(follow::follow(future, Location::caller())));
        }
        Foreign(tokio::spawn(future))
    }

    fn spawn_blocking<G, T>(&self, function: G) -> Handle<T>
    where
        G: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        if is_followed() {
            let function = || follow::run_blocking(function);
            return Foreign(tokio::task::spawn_blocking(function));
        }
        Foreign(tokio::task::spawn_blocking(function))
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + 'static {
        tokio::time::sleep(duration)
    }

    fn sleep_until(&self, deadline: Instant) -> impl Future<Output = ()> + Send + 'static {
        tokio::time::sleep_until(deadline.into())
    }

    async fn timeout<T>(&self, duration: Duration, future: T) -> Result<T::Output, Elapsed>
    where
        T: Future + Send,
        T::Output: Send,
    {
        let outcome = tokio::time::timeout(duration, future).await;
        outcome.map_err(|_| Elapsed)
    }

    fn yield_now(&self) -> impl Future<Output = ()> + Send + 'static {
        tokio::task::yield_now()
    }

    async fn bind(&self, address: SocketAddr) -> io::Result<Listener> {
        tokio::net::TcpListener::bind(address).await.map(Foreign)
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Stream> {
        let stream = tokio::net::TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Foreign(stream))
    }

    fn channel<T: Send + 'static>(&self, capacity: usize) -> (Sender<T>, Receiver<T>) {
        let (sender, receiver) = mpsc::channel(capacity);
        (Foreign(sender), Foreign(receiver))
    }
}

/// tokio's `JoinHandle`.
pub type Handle<T> = Foreign<tokio::task::JoinHandle<T>>;

impl<T> Future for Handle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if is_followed() {
            let waker = follow::waker_at_end(cx.waker());
            let mut cx = Context::from_waker(&waker);
            return Pin::new(&mut self.0).poll(&mut cx).map_err(join_error);
        }
        Pin::new(&mut self.0).poll(cx).map_err(join_error)
    }
}

impl<T: Send + 'static> TaskHandle<T> for Handle<T> {
    fn abort(&self) {
        self.0.abort();
    }

    fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

fn join_error(error: tokio::task::JoinError) -> JoinError {
    match error.try_into_panic() {
        Ok(payload) => JoinError::Panicked(payload.into()),
        Err(_) => JoinError::Cancelled,
    }
}

/// tokio's `TcpListener`.
pub type Listener = Foreign<tokio::net::TcpListener>;

impl TcpListener for Listener {
    type Stream = Stream;

    async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        let (stream, peer) = self.0.accept().await?;
        stream.set_nodelay(true)?;
        Ok((Foreign(stream), peer))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// tokio's `TcpStream` with the `futures-io` traits.
pub type Stream = Foreign<tokio::net::TcpStream>;

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, parts)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// The sending half of `tokio::sync::mpsc`.
pub type Sender<T> = Foreign<mpsc::Sender<T>>;

impl<T: Send + 'static> ChannelSender<T> for Sender<T> {
    async fn send(&self, value: T) -> Result<(), T> {
        self.0.send(value).await.map_err(|error| error.0)
    }
}

/// The receiving half of `tokio::sync::mpsc`.
pub type Receiver<T> = Foreign<mpsc::Receiver<T>>;

impl<T: Send + 'static> ChannelReceiver<T> for Receiver<T> {
    async fn recv(&mut self) -> Option<T> {
        self.0.recv().await
    }
}
