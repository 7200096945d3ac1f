//! The traits that you write a concurrent program against.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_io::{AsyncRead, AsyncWrite};
use runtime_kernel::capabilities::Capabilities;
use runtime_kernel::metrics::Metrics;
use runtime_kernel::task::{Attributes, TaskHandle};
use runtime_kernel::task_list::TaskList;
use runtime_kernel::time::Elapsed;
use runtime_kernel::trace::Recorded;

/// A handle to a running scheduler: cheap to clone, and it never keeps the runtime alive.
///
/// The methods that wait are written as `fn .. -> impl Future + Send` and not as `async fn`. Otherwise the compiler
/// could not prove that a generic `rt.spawn(async move { listener.accept().await })` is `Send`.
///
/// Poll futures of a runtime (`sleep`, sockets) only inside that runtime, which means in its tasks.
pub trait Runtime: Clone + Send + Sync + 'static {
    /// What [`spawn`](Runtime::spawn) returns. Dropping it detaches the task.
    type JoinHandle<T: Send + 'static>: TaskHandle<T>;
    /// A listening TCP socket.
    type TcpListener: TcpListener<Stream = Self::TcpStream>;
    /// A connected TCP socket.
    type TcpStream: AsyncRead + AsyncWrite + Send + Unpin + 'static;
    /// The sending half of the runtime's idiomatic bounded channel.
    type Sender<T: Send + 'static>: ChannelSender<T>;
    /// The receiving half of the runtime's idiomatic bounded channel.
    type Receiver<T: Send + 'static>: ChannelReceiver<T>;

    /// This scheduler's name in the lab's tables, such as `mn`.
    fn name(&self) -> &'static str;

    /// What this scheduler can and cannot do.
    fn capabilities(&self) -> Capabilities;

    /// Counters since the start; `None` for what the scheduler does not count.
    fn metrics(&self) -> Metrics;

    /// What the process's recording, such as a [flight recorder](runtime_kernel::trace::flight), has so far. `None` if
    /// there is no recording, or if the scheduler has no hooks for it.
    ///
    /// A recording covers the whole process, including other runtimes.
    fn dump_trace(&self) -> Option<Recorded> {
        None
    }

    /// The live tasks: what each waits for, since when, and which task holds it. asyncio's `all_tasks()`, and its
    /// `ps`. `None` if the scheduler does not list them.
    ///
    /// The list contains waits and holders that began during a [watch](runtime_kernel::task_list::watch). Cost: a
    /// walk over the memory of all tasks, without stopping any of them.
    fn tasks(&self) -> Option<TaskList> {
        None
    }

    /// Starts a task. It runs whether or not the handle is awaited.
    ///
    /// After the runtime has shut down, nothing runs and the handle reports
    /// [`JoinError::Cancelled`](runtime_kernel::JoinError::Cancelled).
    #[track_caller]
    fn spawn<F>(&self, future: F) -> Self::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Like [`spawn`](Runtime::spawn), with attributes. A runtime ignores attributes that it does not use; the
    /// default ignores all.
    #[track_caller]
    fn spawn_with<F>(&self, attributes: Attributes, future: F) -> Self::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let _ = attributes;
        self.spawn(future)
    }

    /// Runs a function that blocks, on a thread where blocking does no harm.
    #[track_caller]
    fn spawn_blocking<F, T>(&self, function: F) -> Self::JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static;

    /// The runtime's clock: the zero of [`sleep_until`](Runtime::sleep_until). It is the system's unless the runtime
    /// was built with [another](runtime_kernel::time::Clock). asyncio's `loop.time()`.
    fn now(&self) -> Instant {
        Instant::now()
    }

    /// Completes when `duration` has passed, never before. Zero completes without waiting.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + 'static;

    /// Completes at `deadline`, never before. A deadline in the past completes without waiting.
    fn sleep_until(&self, deadline: Instant) -> impl Future<Output = ()> + Send + 'static;

    /// Awaits `future` for at most `duration`. A result that is ready takes precedence over a deadline that is due.
    ///
    /// # Errors
    /// [`Elapsed`] if the time is up first. `future` is dropped with the returned future.
    fn timeout<F>(
        &self,
        duration: Duration,
        future: F,
    ) -> impl Future<Output = Result<F::Output, Elapsed>> + Send
    where
        F: Future + Send,
        F::Output: Send;

    /// Lets the other tasks that are ready run first.
    fn yield_now(&self) -> impl Future<Output = ()> + Send + 'static;

    /// Listens on `address`; port 0 picks a free port.
    ///
    /// # Errors
    /// Those of `socket`, `bind` and `listen`.
    fn bind(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpListener>> + Send;

    /// Connects to `address`. Sets `TCP_NODELAY`, as on accepted connections, so that programs over this trait behave
    /// the same under every runtime.
    ///
    /// # Errors
    /// Those of `socket` and `connect`.
    fn connect(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send;

    /// The runtime's own bounded channel. `capacity` is at least 1.
    fn channel<T: Send + 'static>(&self, capacity: usize) -> (Self::Sender<T>, Self::Receiver<T>);
}

/// A listening TCP socket of some runtime.
pub trait TcpListener: Send + Sync + Unpin + 'static {
    /// The stream that [`accept`](TcpListener::accept) yields.
    type Stream;

    /// The next connection, with `TCP_NODELAY` set, and its peer's address. Cancel safe: a dropped `accept` loses no
    /// connection.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;

    /// The address that it listens on; if you bound port 0, with the actual port.
    ///
    /// # Errors
    /// Those of `getsockname`.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// The sending half of a bounded channel.
pub trait ChannelSender<T>: Clone + Send + Sync + 'static {
    /// Waits for room and sends.
    ///
    /// # Errors
    /// Returns the value if every receiver is gone.
    fn send(&self, value: T) -> impl Future<Output = Result<(), T>> + Send;
}

/// The receiving half of a bounded channel.
pub trait ChannelReceiver<T>: Send + 'static {
    /// The next value; `None` when every sender is gone and the channel is empty.
    fn recv(&mut self) -> impl Future<Output = Option<T>> + Send;
}
