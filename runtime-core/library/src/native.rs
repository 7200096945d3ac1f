//! Every scheduler of the kernel is a [`Runtime`], with this crate's sockets and channels.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use runtime_kernel::budget::consume_budget;
use runtime_kernel::capabilities::Capabilities;
use runtime_kernel::metrics::Metrics;
use runtime_kernel::native::Native;
use runtime_kernel::task::{self, Attributes, JoinHandle};
use runtime_kernel::task_list::TaskList;
use runtime_kernel::time::{self, Elapsed, Sleep, Timeout};
use runtime_kernel::trace::{self, Recorded};

use crate::net;
use crate::runtime::Runtime;
use crate::sync::{Receiver, Sender, channel};

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

    fn dump_trace(&self) -> Option<Recorded> {
        trace::dump()
    }

    fn tasks(&self) -> Option<TaskList> {
        Native::live_tasks(self).map(TaskList::of)
    }

    #[track_caller]
    fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Native::spawn(self, future)
    }

    #[track_caller]
    fn spawn_with<F>(&self, attributes: Attributes, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Native::spawn_with(self, attributes, future)
    }

    #[track_caller]
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
        // With this runtime's clock, wherever it is called.
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
}
