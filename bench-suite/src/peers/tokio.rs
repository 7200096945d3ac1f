//! tokio under our traits, in both flavours: several workers that steal from each other, and one thread.
//!
//! The runtime handle holds nothing: it uses tokio's ambient runtime, as programs on tokio do (`tokio::spawn`).
//! Carrying a `tokio::runtime::Handle` instead would clone an `Arc` for each task that spawns others, on a counter
//! that all workers share. It is therefore to be used from that runtime's tasks and blocking threads only.

use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_io::{AsyncRead, AsyncWrite};
use runtime_core::time::Elapsed;
use runtime_core::{
    Capabilities, ChannelReceiver, ChannelSender, JoinError, Launch, LaunchConfig, Metrics,
    Runtime, TaskHandle, TcpListener,
};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::runtime::Builder;
use tokio::sync::mpsc;

/// What tells tokio's flavours apart.
pub trait Flavour: Send + Sync + 'static {
    /// The name in the lab's tables.
    const NAME: &'static str;

    /// How tokio is started.
    fn builder(config: &LaunchConfig) -> Builder;

    /// Worker threads of the ambient runtime.
    fn workers() -> usize;
}

/// The flavour with several workers: a queue each, a LIFO slot, work stealing.
#[derive(Debug)]
pub struct MultiThread;

impl Flavour for MultiThread {
    const NAME: &'static str = "tokio-mt";

    fn builder(config: &LaunchConfig) -> Builder {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(config.workers);
        builder
    }

    fn workers() -> usize {
        tokio::runtime::Handle::current().metrics().num_workers()
    }
}

/// The flavour with one loop on one thread, whose tasks are `Send` all the same.
#[derive(Debug)]
pub struct CurrentThread;

impl Flavour for CurrentThread {
    const NAME: &'static str = "tokio-ct";

    fn builder(_config: &LaunchConfig) -> Builder {
        Builder::new_current_thread()
    }

    fn workers() -> usize {
        1
    }
}

/// A flavour of tokio. It launches itself and is its own handle.
pub struct Tokio<F>(PhantomData<F>);

/// tokio with several workers.
pub type TokioMt = Tokio<MultiThread>;

/// tokio on one thread.
pub type TokioCt = Tokio<CurrentThread>;

impl<F> Clone for Tokio<F> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<F: Flavour> Launch for Tokio<F> {
    type Runtime = Self;

    fn run<G, R>(config: &LaunchConfig, root: G) -> io::Result<R::Output>
    where
        G: FnOnce(Self) -> R + Send + 'static,
        R: Future + Send + 'static,
        R::Output: Send + 'static,
    {
        config.check_names::<Self>(F::NAME)?;
        let runtime = F::builder(config).enable_all().build()?;
        let outcome = runtime.block_on(async { tokio::spawn(root(Self(PhantomData))).await });
        // A blocking job may be waiting for something that never comes.
        runtime.shutdown_timeout(Duration::from_secs(1));
        Ok(
            outcome.unwrap_or_else(|error| match error.try_into_panic() {
                Ok(payload) => std::panic::resume_unwind(payload),
                Err(error) => panic!("the root task ended without an output: {error}"),
            }),
        )
    }
}

impl<F: Flavour> Runtime for Tokio<F> {
    type JoinHandle<T: Send + 'static> = Handle<T>;
    type TcpListener = Listener;
    type TcpStream = Stream;
    type Sender<T: Send + 'static> = Sender<T>;
    type Receiver<T: Send + 'static> = Receiver<T>;

    fn name(&self) -> &'static str {
        F::NAME
    }

    fn capabilities(&self) -> Capabilities {
        let workers = F::workers();
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

    fn spawn<T>(&self, future: T) -> Handle<T::Output>
    where
        T: Future + Send + 'static,
        T::Output: Send + 'static,
    {
        Handle(tokio::spawn(future))
    }

    fn spawn_blocking<G, T>(&self, function: G) -> Handle<T>
    where
        G: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        Handle(tokio::task::spawn_blocking(function))
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

    fn bind(&self, address: SocketAddr) -> impl Future<Output = io::Result<Listener>> + Send {
        Listener::bind(address)
    }

    fn connect(&self, address: SocketAddr) -> impl Future<Output = io::Result<Stream>> + Send {
        Stream::connect(address)
    }

    fn channel<T: Send + 'static>(&self, capacity: usize) -> (Sender<T>, Receiver<T>) {
        let (sender, receiver) = mpsc::channel(capacity);
        (Sender(sender), Receiver(receiver))
    }
}

/// tokio's `JoinHandle`.
pub struct Handle<T>(tokio::task::JoinHandle<T>);

impl<T> Future for Handle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
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
pub struct Listener(tokio::net::TcpListener);

impl Listener {
    async fn bind(address: SocketAddr) -> io::Result<Self> {
        tokio::net::TcpListener::bind(address).await.map(Self)
    }
}

impl TcpListener for Listener {
    type Stream = Stream;

    async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        let (stream, peer) = self.0.accept().await?;
        stream.set_nodelay(true)?;
        Ok((Stream(stream), peer))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// tokio's `TcpStream` with the `futures-io` traits.
pub struct Stream(pub(crate) tokio::net::TcpStream);

impl Stream {
    async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = tokio::net::TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }
}

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
pub struct Sender<T>(mpsc::Sender<T>);

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Send + 'static> ChannelSender<T> for Sender<T> {
    async fn send(&self, value: T) -> Result<(), T> {
        self.0.send(value).await.map_err(|error| error.0)
    }
}

/// The receiving half of `tokio::sync::mpsc`.
pub struct Receiver<T>(mpsc::Receiver<T>);

impl<T: Send + 'static> ChannelReceiver<T> for Receiver<T> {
    async fn recv(&mut self) -> Option<T> {
        self.0.recv().await
    }
}
