//! What the handles of this project's own schedulers have in common: everything but scheduling.
//!
//! A scheduler's handle says how a task is started and what its [`Ambient`] is; [`Runtime`] follows. A scheduler with
//! sockets, timers or channels of its own implements `Runtime` directly instead.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::budget::consume_budget;
use crate::context::Ambient;
use crate::fs;
use crate::metrics::Metrics;
use crate::net;
use crate::runtime::{Capabilities, Runtime};
use crate::spawn::spawn_on;
use crate::sync::{Receiver, Sender, channel};
use crate::task::{self, Attributes, JoinHandle};
use crate::time::{self, Elapsed, Sleep, Timeout};

/// A handle to a scheduler that uses this crate's tasks, sockets, timers and channels.
pub trait Native: Clone + Send + Sync + 'static {
    /// The name by which the lab's tables call this scheduler.
    const NAME: &'static str;

    /// The runtime as the code on its threads sees it.
    fn ambient(&self) -> &Arc<dyn Ambient>;

    /// See [`Runtime::capabilities`].
    fn capabilities(&self) -> Capabilities;

    /// See [`Runtime::metrics`].
    fn metrics(&self) -> Metrics;

    /// See [`Runtime::spawn`].
    fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        spawn_on(&**self.ambient(), future)
    }

    /// See [`Runtime::spawn_with`]. A scheduler that has a use for attributes takes them by
    /// [`bind_with`](task::bind_with).
    fn spawn_with<F>(&self, attributes: Attributes, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let _ = attributes;
        Native::spawn(self, future)
    }
}

impl<H: Native> Runtime for H {
    type JoinHandle<T: Send + 'static> = JoinHandle<T>;
    type TcpListener = net::TcpListener;
    type TcpStream = net::TcpStream;
    type Sender<T: Send + 'static> = Sender<T>;
    type Receiver<T: Send + 'static> = Receiver<T>;

    fn name(&self) -> &'static str {
        H::NAME
    }

    fn capabilities(&self) -> Capabilities {
        Native::capabilities(self)
    }

    fn metrics(&self) -> Metrics {
        Native::metrics(self)
    }

    fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Native::spawn(self, future)
    }

    fn spawn_with<F>(&self, attributes: Attributes, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Native::spawn_with(self, attributes, future)
    }

    fn spawn_blocking<F, T>(&self, function: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.ambient().blocking_pool().spawn(function)
    }

    fn now(&self) -> Instant {
        time::now_by(|| Some(self.ambient().clock().clone()))
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + 'static {
        // By this runtime's clock, wherever it is called.
        Sleep::after(self.now(), duration)
    }

    fn sleep_until(&self, deadline: Instant) -> impl Future<Output = ()> + Send + 'static {
        time::sleep_until(deadline)
    }

    fn timeout<F>(
        &self,
        duration: Duration,
        future: F,
    ) -> impl Future<Output = Result<F::Output, Elapsed>> + Send
    where
        F: Future + Send,
        F::Output: Send,
    {
        Timeout::after(self.now(), duration, future)
    }

    fn yield_now(&self) -> impl Future<Output = ()> + Send + 'static {
        task::yield_now()
    }

    async fn bind(&self, address: SocketAddr) -> io::Result<net::TcpListener> {
        consume_budget().await;
        let driver = self.ambient().io_driver();
        net::TcpListener::bind_on(driver, address, net::BindOptions::default())
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<net::TcpStream> {
        let stream = net::TcpStream::connect_on(self.ambient().io_driver(), address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn channel<T: Send + 'static>(&self, capacity: usize) -> (Sender<T>, Receiver<T>) {
        channel(capacity)
    }

    async fn write_file(&self, path: PathBuf, contents: Vec<u8>) -> io::Result<()> {
        consume_budget().await;
        let ambient = self.ambient();
        let pool = (!ambient.files_inline()).then(|| Arc::clone(ambient.blocking_pool()));
        fs::write_in(pool, path, contents).await
    }
}
