//! A handle with an erased type.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use runtime_kernel::time::Elapsed;
use runtime_kernel::{Capabilities, Metrics};
use runtime_library::Runtime;

use super::boxed::{AnyBox, BoxFuture};
use super::channel::{AnyReceiver, AnySender, DynReceiver, DynSender};
use super::sockets::{AnyListener, AnyStream};
use super::task::{AnyHandle, Boxed, DynHandle};
use crate::Subject;

/// A future that is awaited in place.
type BorrowedFuture<'a> = Pin<&'a mut (dyn Future<Output = ()> + Send + 'a)>;

/// A runtime as an object.
trait DynRuntime: Send + Sync {
    fn name(&self) -> &'static str;
    fn capabilities(&self) -> Capabilities;
    fn metrics(&self) -> Metrics;
    fn spawn(&self, future: BoxFuture<'static, AnyBox>) -> DynHandle;
    fn spawn_blocking(&self, function: Box<dyn FnOnce() -> AnyBox + Send>) -> DynHandle;
    fn now(&self) -> Instant;
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()>;
    fn timeout<'a>(
        &'a self,
        duration: Duration,
        future: BorrowedFuture<'a>,
    ) -> BoxFuture<'a, Result<(), Elapsed>>;
    fn yield_now(&self) -> BoxFuture<'static, ()>;
    fn bind(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<AnyListener>>;
    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<AnyStream>>;
    fn channel(&self, capacity: usize) -> (Arc<dyn DynSender>, Box<dyn DynReceiver>);
    fn block_on(&self, future: BoxFuture<'static, AnyBox>) -> AnyBox;
    fn stop(&self);
}

/// A subject's handle, and how it is stopped.
pub(super) struct Handle<S: Subject> {
    runtime: S::Runtime,
    stop: Option<fn(&S::Runtime)>,
}

impl<S: Subject> Handle<S> {
    pub(super) fn new(runtime: S::Runtime, stop: Option<fn(&S::Runtime)>) -> Self {
        Self { runtime, stop }
    }
}

impl<S: Subject> DynRuntime for Handle<S> {
    fn name(&self) -> &'static str {
        self.runtime.name()
    }
    fn capabilities(&self) -> Capabilities {
        self.runtime.capabilities()
    }
    fn metrics(&self) -> Metrics {
        self.runtime.metrics()
    }
    fn spawn(&self, future: BoxFuture<'static, AnyBox>) -> DynHandle {
        Box::new(self.runtime.spawn(future))
    }
    fn spawn_blocking(&self, function: Box<dyn FnOnce() -> AnyBox + Send>) -> DynHandle {
        Box::new(self.runtime.spawn_blocking(function))
    }
    fn now(&self) -> Instant {
        self.runtime.now()
    }
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(self.runtime.sleep(duration))
    }
    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()> {
        Box::pin(self.runtime.sleep_until(deadline))
    }
    fn timeout<'a>(
        &'a self,
        duration: Duration,
        future: BorrowedFuture<'a>,
    ) -> BoxFuture<'a, Result<(), Elapsed>> {
        Box::pin(self.runtime.timeout(duration, future))
    }
    fn yield_now(&self) -> BoxFuture<'static, ()> {
        Box::pin(self.runtime.yield_now())
    }
    fn bind(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<AnyListener>> {
        let binding = self.runtime.bind(address);
        Box::pin(async move { binding.await.map(AnyListener::new) })
    }
    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<AnyStream>> {
        let connecting = self.runtime.connect(address);
        Box::pin(async move { connecting.await.map(AnyStream::new) })
    }
    fn channel(&self, capacity: usize) -> (Arc<dyn DynSender>, Box<dyn DynReceiver>) {
        let (sender, receiver) = self.runtime.channel(capacity);
        (Arc::new(sender), Box::new(receiver))
    }
    fn block_on(&self, future: BoxFuture<'static, AnyBox>) -> AnyBox {
        S::block_on(&self.runtime, future)
    }
    fn stop(&self) {
        let stop = self.stop.expect("a group of cases that stop a run");
        stop(&self.runtime);
    }
}

/// A handle to the scheduler that the case is run for.
#[derive(Clone)]
pub struct AnyRuntime(Arc<dyn DynRuntime>);

impl AnyRuntime {
    pub(super) fn new<S: Subject>(handle: Handle<S>) -> Self {
        Self(Arc::new(handle))
    }
    pub(super) fn block_on(&self, future: BoxFuture<'static, AnyBox>) -> AnyBox {
        self.0.block_on(future)
    }
    pub(super) fn stop(&self) {
        self.0.stop();
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
        AnyHandle::new(self.0.spawn(Box::pin(Boxed::new(future))))
    }
    fn spawn_blocking<F, T>(&self, function: F) -> AnyHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        AnyHandle::new(self.0.spawn_blocking(Box::new(|| Box::new(function()))))
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
        let noted = async { output = Some(future.await) };
        self.0.timeout(duration, pin!(noted)).await?;
        Ok(output.expect("it has completed"))
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
        (AnySender::new(sender), AnyReceiver::new(receiver))
    }
}
