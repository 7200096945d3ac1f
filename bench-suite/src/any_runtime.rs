//! A runtime behind `dyn`, for programs that run under every runtime and are never measured.
//!
//! A program over [`Runtime`] is compiled once for each runtime, so that no indirection is measured. If nothing is
//! measured, the copies only cost compile time. [`AnyRuntime`] represents every runtime in one type, so a program that
//! uses it is compiled once. The tasks, sockets and channels underneath are still the runtime's own. The only addition
//! is a box around each future and each value that crosses the boundary.

use std::any::Any;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_io::{AsyncRead, AsyncWrite};
use runtime_core::time::Elapsed;
use runtime_core::{
    Capabilities, ChannelReceiver, ChannelSender, JoinError, Metrics, Runtime, TaskHandle,
    TcpListener,
};

/// A future of some type.
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A value of any type: what tasks return and channels carry.
type Value = Box<dyn Any + Send>;

fn of<T: 'static>(value: Value) -> T {
    let value = value.downcast();
    *value.expect("a handle or channel is made for one type, and only that goes in")
}

/// A handle to any runtime.
#[derive(Clone)]
pub(crate) struct AnyRuntime(Arc<dyn Erased>);

impl AnyRuntime {
    /// The runtime behind `rt`.
    pub(crate) fn new<R: Runtime>(rt: R) -> Self {
        Self(Arc::new(rt))
    }
}

/// [`Runtime`] without type parameters.
trait Erased: Send + Sync {
    fn name(&self) -> &'static str;
    fn capabilities(&self) -> Capabilities;
    fn metrics(&self) -> Metrics;
    fn now(&self) -> Instant;
    fn spawn(&self, future: BoxFuture<'static, Value>) -> Box<dyn TaskHandle<Value>>;
    fn spawn_blocking(
        &self,
        function: Box<dyn FnOnce() -> Value + Send>,
    ) -> Box<dyn TaskHandle<Value>>;
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()>;
    fn timeout<'a>(
        &'a self,
        duration: Duration,
        future: BoxFuture<'a, ()>,
    ) -> BoxFuture<'a, Result<(), Elapsed>>;
    fn yield_now(&self) -> BoxFuture<'static, ()>;
    fn bind(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<AnyListener>>;
    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<AnyStream>>;
    fn channel(&self, capacity: usize) -> (Arc<dyn ErasedSender>, Box<dyn ErasedReceiver>);
}

impl<R: Runtime> Erased for R {
    fn name(&self) -> &'static str {
        Runtime::name(self)
    }

    fn capabilities(&self) -> Capabilities {
        Runtime::capabilities(self)
    }

    fn metrics(&self) -> Metrics {
        Runtime::metrics(self)
    }

    fn now(&self) -> Instant {
        Runtime::now(self)
    }

    fn spawn(&self, future: BoxFuture<'static, Value>) -> Box<dyn TaskHandle<Value>> {
        Box::new(Runtime::spawn(self, future))
    }

    fn spawn_blocking(
        &self,
        function: Box<dyn FnOnce() -> Value + Send>,
    ) -> Box<dyn TaskHandle<Value>> {
        Box::new(Runtime::spawn_blocking(self, function))
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(Runtime::sleep(self, duration))
    }

    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()> {
        Box::pin(Runtime::sleep_until(self, deadline))
    }

    fn timeout<'a>(
        &'a self,
        duration: Duration,
        future: BoxFuture<'a, ()>,
    ) -> BoxFuture<'a, Result<(), Elapsed>> {
        Box::pin(Runtime::timeout(self, duration, future))
    }

    fn yield_now(&self) -> BoxFuture<'static, ()> {
        Box::pin(Runtime::yield_now(self))
    }

    fn bind(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<AnyListener>> {
        Box::pin(async move {
            let listener = Runtime::bind(self, address).await?;
            Ok(AnyListener(Box::new(listener)))
        })
    }

    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<AnyStream>> {
        Box::pin(async move {
            let stream = Runtime::connect(self, address).await?;
            Ok(Box::new(stream) as AnyStream)
        })
    }

    fn channel(&self, capacity: usize) -> (Arc<dyn ErasedSender>, Box<dyn ErasedReceiver>) {
        let (sender, receiver) = Runtime::channel::<Value>(self, capacity);
        (Arc::new(sender), Box::new(receiver))
    }
}

impl Runtime for AnyRuntime {
    type JoinHandle<T: Send + 'static> = AnyHandle<T>;
    type TcpListener = AnyListener;
    type TcpStream = AnyStream;
    type Sender<T: Send + 'static> = AnySender<T>;
    type Receiver<T: Send + 'static> = AnyReceiver<T>;

    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn metrics(&self) -> Metrics {
        self.0.metrics()
    }

    fn spawn<F>(&self, future: F) -> AnyHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let future = Box::pin(async move { Box::new(future.await) as Value });
        AnyHandle(self.0.spawn(future), PhantomData)
    }

    fn spawn_blocking<F, T>(&self, function: F) -> AnyHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let function = Box::new(move || Box::new(function()) as Value);
        AnyHandle(self.0.spawn_blocking(function), PhantomData)
    }

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + 'static {
        self.0.sleep(duration)
    }

    fn sleep_until(&self, deadline: Instant) -> impl Future<Output = ()> + Send + 'static {
        self.0.sleep_until(deadline)
    }

    async fn timeout<F>(&self, duration: Duration, future: F) -> Result<F::Output, Elapsed>
    where
        F: Future + Send,
        F::Output: Send,
    {
        let mut output = None;
        let future = async { output = Some(future.await) };
        self.0.timeout(duration, Box::pin(future)).await?;
        Ok(output.expect("a future that has ended in time has left its output"))
    }

    fn yield_now(&self) -> impl Future<Output = ()> + Send + 'static {
        self.0.yield_now()
    }

    fn bind(&self, address: SocketAddr) -> impl Future<Output = io::Result<AnyListener>> + Send {
        self.0.bind(address)
    }

    fn connect(&self, address: SocketAddr) -> impl Future<Output = io::Result<AnyStream>> + Send {
        self.0.connect(address)
    }

    fn channel<T: Send + 'static>(&self, capacity: usize) -> (AnySender<T>, AnyReceiver<T>) {
        let (sender, receiver) = self.0.channel(capacity);
        (
            AnySender(sender, PhantomData),
            AnyReceiver(receiver, PhantomData),
        )
    }
}

/// A handle to a task that yields a `T`.
pub(crate) struct AnyHandle<T>(Box<dyn TaskHandle<Value>>, PhantomData<fn() -> T>);

impl<T: 'static> Future for AnyHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map_ok(of)
    }
}

impl<T: Send + 'static> TaskHandle<T> for AnyHandle<T> {
    fn abort(&self) {
        self.0.abort();
    }

    fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

/// A connected socket.
pub(crate) type AnyStream = Box<dyn ErasedStream>;

/// What a connected socket can do.
pub(crate) trait ErasedStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ErasedStream for S {}

/// A listening socket.
pub(crate) struct AnyListener(Box<dyn ErasedListener>);

trait ErasedListener: Send + Sync {
    fn accept(&self) -> BoxFuture<'_, io::Result<(AnyStream, SocketAddr)>>;
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

impl<L> ErasedListener for L
where
    L: TcpListener,
    L::Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    fn accept(&self) -> BoxFuture<'_, io::Result<(AnyStream, SocketAddr)>> {
        Box::pin(async move {
            let (stream, peer) = TcpListener::accept(self).await?;
            Ok((Box::new(stream) as AnyStream, peer))
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        TcpListener::local_addr(self)
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

trait ErasedSender: Send + Sync {
    fn send(&self, value: Value) -> BoxFuture<'_, Result<(), Value>>;
}

impl<S: ChannelSender<Value>> ErasedSender for S {
    fn send(&self, value: Value) -> BoxFuture<'_, Result<(), Value>> {
        Box::pin(ChannelSender::send(self, value))
    }
}

/// The sending half of a channel of `T`.
pub(crate) struct AnySender<T>(Arc<dyn ErasedSender>, PhantomData<fn(T)>);

impl<T> Clone for AnySender<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0), PhantomData)
    }
}

impl<T: Send + 'static> ChannelSender<T> for AnySender<T> {
    async fn send(&self, value: T) -> Result<(), T> {
        self.0.send(Box::new(value)).await.map_err(of)
    }
}

trait ErasedReceiver: Send {
    fn recv(&mut self) -> BoxFuture<'_, Option<Value>>;
}

impl<R: ChannelReceiver<Value>> ErasedReceiver for R {
    fn recv(&mut self) -> BoxFuture<'_, Option<Value>> {
        Box::pin(ChannelReceiver::recv(self))
    }
}

/// The receiving half of a channel of `T`.
pub(crate) struct AnyReceiver<T>(Box<dyn ErasedReceiver>, PhantomData<fn() -> T>);

impl<T: Send + 'static> ChannelReceiver<T> for AnyReceiver<T> {
    async fn recv(&mut self) -> Option<T> {
        self.0.recv().await.map(of)
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::time::Duration;

    use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
    use runtime_core::{
        ChannelReceiver as _, ChannelSender as _, JoinError, Runtime as _, TaskHandle as _,
        TcpListener as _,
    };
    use runtime_n1::N1;

    use super::AnyRuntime;
    use crate::launcher::Launcher;

    /// Runs `root` under N:1, behind `dyn`.
    fn behind_dyn<F, R>(root: F) -> R::Output
    where
        F: FnOnce(AnyRuntime) -> R + Send + 'static,
        R: Future + Send + 'static,
        R::Output: Send + 'static,
    {
        let launcher = Launcher::of::<N1>();
        launcher.run(&Default::default(), root).unwrap()
    }

    #[test]
    fn tasks_end_as_they_do_without_it() {
        behind_dyn(|rt| async move {
            let yielding = rt.clone();
            let value = rt.spawn(async move {
                yielding.yield_now().await;
                "a value of its own type".to_owned()
            });
            assert_eq!(value.await.unwrap(), "a value of its own type");
            assert_eq!(rt.spawn_blocking(|| 7).await.unwrap(), 7);
            let panicked = rt.spawn(async { panic!("on purpose") }).await;
            assert!(matches!(panicked, Err(JoinError::Panicked(_))));
            let endless = rt.spawn(std::future::pending::<()>());
            endless.abort();
            assert!(matches!(endless.await, Err(JoinError::Cancelled)));
            let hour = rt.sleep(Duration::from_secs(3600));
            assert!(rt.timeout(Duration::ZERO, hour).await.is_err());
            let ready = rt.timeout(Duration::ZERO, async { 8 });
            assert_eq!(ready.await, Ok(8));
        });
    }

    #[test]
    fn channels_and_sockets_pass_items_on() {
        behind_dyn(|rt| async move {
            let (sender, mut receiver) = rt.channel::<(u8, &str)>(1);
            sender.send((1, "one")).await.unwrap();
            assert_eq!(receiver.recv().await, Some((1, "one")));
            drop(receiver);
            assert_eq!(sender.send((2, "two")).await, Err((2, "two")));

            let listener = rt.bind(([127, 0, 0, 1], 0).into()).await.unwrap();
            let mut client = rt.connect(listener.local_addr().unwrap()).await.unwrap();
            let (mut server, _) = listener.accept().await.unwrap();
            client.write_all(b"bytes").await.unwrap();
            client.close().await.unwrap();
            let mut read = Vec::new();
            server.read_to_end(&mut read).await.unwrap();
            assert_eq!(read, b"bytes");
        });
    }
}
