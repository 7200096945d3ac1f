//! What a concurrent program is written against.

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
/// The methods that wait are written as `fn .. -> impl Future + Send` and not as `async fn`, because a generic
/// `rt.spawn(async move { listener.accept().await })` could not be proved `Send` otherwise.
///
/// Futures made by a runtime (`sleep`, sockets) are to be polled inside that runtime, that is from its tasks.
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

    /// The name by which the lab's tables call this scheduler, such as `mn`.
    fn name(&self) -> &'static str;

    /// What this scheduler can and cannot do.
    fn capabilities(&self) -> Capabilities;

    /// Counters since the start; what a scheduler does not count is `None`.
    fn metrics(&self) -> Metrics;

    /// What the process's recording, such as a [flight recorder](runtime_kernel::trace::flight), has recorded so far.
    /// `None`: nothing records, or the scheduler has no hooks for it.
    ///
    /// A recording is of the whole process, other runtimes included.
    fn dump_trace(&self) -> Option<Recorded> {
        None
    }

    /// The live tasks: what each waits for, since when, and who holds what. asyncio's `all_tasks()`, and its `ps`.
    /// `None`: the scheduler does not list them.
    ///
    /// What they wait for and hold is known as far as it began while somebody
    /// [watched](runtime_kernel::task_list::watch). Cost: a walk over the memory of all tasks; it stops none of them.
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

    /// As [`spawn`](Runtime::spawn), with attributes. A runtime ignores those that it has no use for, by default all.
    #[track_caller]
    fn spawn_with<F>(&self, attributes: Attributes, future: F) -> Self::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let _ = attributes;
        self.spawn(future)
    }

    /// Runs a function that blocks, on a thread where that harms nobody.
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

    /// Awaits `future` for at most `duration`; a result that is ready beats a deadline that is due.
    ///
    /// # Errors
    /// [`Elapsed`] when the time is over first; `future` is dropped with the returned future.
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

    /// Listens on `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// Those of `socket`, `bind` and `listen`.
    fn bind(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpListener>> + Send;

    /// Connects to `address`. As on accepted connections, `TCP_NODELAY` is set, so that programs over this trait
    /// behave the same under every runtime.
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
    /// What [`accept`](TcpListener::accept) yields.
    type Stream;

    /// The next connection, with `TCP_NODELAY` set, and where it comes from. Cancel safe: a dropped `accept` loses no
    /// connection.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;

    /// The address listened on, with the port that port 0 was given.
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
    /// Gives the value back when every receiver is gone.
    fn send(&self, value: T) -> impl Future<Output = Result<(), T>> + Send;
}

/// The receiving half of a bounded channel.
pub trait ChannelReceiver<T>: Send + 'static {
    /// The next value; `None` when every sender is gone and the channel is empty.
    fn recv(&mut self) -> impl Future<Output = Option<T>> + Send;
}
