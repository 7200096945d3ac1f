//! The one trait, and the two seams beside it.
//!
//! [`Runtime`] is what a concurrent program is written against: it runs unchanged under the three schedulers of this
//! project and under any other that implements the trait. [`Launch`] starts a runtime, runs a root task and stops it
//! again; it is all that a harness needs. [`ForkJoin`] is the seam for CPU-bound recursion, which needs no futures.
//!
//! Nothing here is `dyn`: a program generic over `Runtime` is compiled once per scheduler, so that what is compared is
//! the schedulers and not the indirection.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_io::{AsyncRead, AsyncWrite};

use crate::metrics::Metrics;
use crate::reactor::ReactorKind;
use crate::sync::OVERTAKEN_FOR;
use crate::task::JoinError;
use crate::time::Elapsed;

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

    /// Starts a task. It runs whether or not the handle is awaited.
    ///
    /// After the runtime has shut down, nothing runs and the handle reports [`JoinError::Cancelled`].
    fn spawn<F>(&self, future: F) -> Self::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Runs a function that blocks, on a thread where that harms nobody.
    fn spawn_blocking<F, T>(&self, function: F) -> Self::JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static;

    /// The runtime's clock: the zero of [`sleep_until`](Runtime::sleep_until). It is the system's unless the runtime
    /// was built with [another](crate::time::Clock). asyncio's `loop.time()`.
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

    /// Writes a whole file, replacing what was there, in the way this runtime treats files.
    ///
    /// # Errors
    /// Those of opening and writing; [`io::ErrorKind::Other`] if the blocking job was lost to a shutdown.
    fn write_file(
        &self,
        path: PathBuf,
        contents: Vec<u8>,
    ) -> impl Future<Output = io::Result<()>> + Send {
        let job = self.spawn_blocking(move || std::fs::write(path, contents));
        async move {
            job.await
                .unwrap_or_else(|error| Err(io::Error::other(error)))
        }
    }
}

/// A spawned task, as its spawner sees it. Dropping it detaches the task.
pub trait TaskHandle<T>: Future<Output = Result<T, JoinError>> + Send + Unpin + 'static {
    /// Cancels the task at its next suspension point; the handle then yields [`JoinError::Cancelled`].
    /// A task that finishes in the poll during which it was aborted yields its value.
    fn abort(&self);

    /// True when awaiting the handle would not wait.
    fn is_finished(&self) -> bool;
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

/// What a scheduler can and cannot do. Unlike a name, a program may decide by these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// OS threads on which tasks run; `None` if each task has its own.
    pub workers: Option<usize>,
    /// Two tasks can run at the same instant.
    pub parallel: bool,
    /// A task that computes without a pause is interrupted in favour of the others.
    pub preemptive: bool,
    /// A task may continue on another thread than the one it paused on.
    pub migrates_tasks: bool,
}

impl Capabilities {
    /// For how long newcomers may overtake a task whose turn at a mutex, a semaphore or a queue of
    /// [`sync`](crate::sync) has come; `None` if none ever does.
    ///
    /// A task with a thread of its own is woken when its turn has come, and what it waits for is left to whoever runs
    /// first: to keep it for a thread that sleeps would cost everybody a switch of threads. If the task runs this long
    /// after it was first woken, or later, and comes in vain, the next release is kept for it. So the bound is this
    /// time, and what the kernel takes to run the task's thread after it. Those who wait never overtake each other.
    pub fn overtaken_for(&self) -> Option<Duration> {
        self.workers.is_none().then_some(OVERTAKEN_FOR)
    }
}

/// How to start a runtime: what every scheduler understands. What one of them does not have, it ignores, but for a
/// policy or a knob, which is an error.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LaunchConfig {
    /// Worker threads where there are several. At least 1.
    pub workers: usize,
    /// The scheduling policy, by name, one of [`Launch::POLICIES`]; `None` is the scheduler's default.
    pub policy: Option<String>,
    /// Single decisions of the policy, by the names in [`Launch::KNOBS`].
    pub knobs: BTreeMap<String, String>,
    /// How readiness is asked of the kernel.
    pub reactor: ReactorKind,
    /// Stack of each task's thread in bytes, under 1:1; `None` is the scheduler's default.
    pub stack_bytes: Option<usize>,
}

impl Default for LaunchConfig {
    fn default() -> Self {
        Self {
            workers: num_cpus::get(),
            policy: None,
            knobs: BTreeMap::new(),
            reactor: ReactorKind::default(),
            stack_bytes: None,
        }
    }
}

impl LaunchConfig {
    /// Refuses a policy and knobs that `L` does not have; `runtime` is its name, for the message. For implementations
    /// of [`Launch::run`]. The values of knobs are theirs to check.
    ///
    /// # Errors
    /// Of kind [`InvalidInput`](io::ErrorKind::InvalidInput).
    pub fn check_names<L: Launch>(&self, runtime: &str) -> io::Result<()> {
        let policies: Vec<_> = L::POLICIES.iter().map(|policy| policy.name).collect();
        let knobs: Vec<_> = L::KNOBS.iter().map(|knob| knob.name).collect();
        let policy = self.policy.iter().map(|name| ("policy", name, &policies));
        let named = policy.chain(self.knobs.keys().map(|name| ("knob", name, &knobs)));
        for (kind, name, known) in named {
            if known.contains(&name.as_str()) {
                continue;
            }
            let message = if known.is_empty() {
                format!("{runtime} has no {kind} `{name}`: it has none, leave the {kind} out")
            } else {
                format!(
                    "{runtime} has no {kind} `{name}`: it has {}",
                    known.join(", ")
                )
            };
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        Ok(())
    }
}

/// A name that can be chosen, and what it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// As it is written in a command.
    pub name: &'static str,
    /// One line.
    pub about: &'static str,
}

/// A decision that can be changed by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knob {
    /// As it is written in a command.
    pub name: &'static str,
    /// One line.
    pub about: &'static str,
    /// The values, for people: `on, off`, or `1 to 1024`.
    pub values: &'static str,
}

/// Starts a runtime, runs one root task to its end, and stops the runtime.
pub trait Launch {
    /// The handle that the root task is given.
    type Runtime: Runtime;

    /// The scheduling policies that [`LaunchConfig::policy`] may name; the first one is the default. Empty: there is
    /// no choice.
    const POLICIES: &'static [Choice] = &[];

    /// The decisions that [`LaunchConfig::knobs`] may change.
    const KNOBS: &'static [Knob] = &[];

    /// Runs `root` as a spawned task of a new runtime and returns its output; what it left running is dropped.
    ///
    /// # Errors
    /// When the system refuses threads or descriptors; of kind [`InvalidInput`](io::ErrorKind::InvalidInput) when
    /// `config` names a policy, a knob or a knob's value that the scheduler does not have.
    ///
    /// # Panics
    /// With the root task's own panic.
    fn run<F, R>(config: &LaunchConfig, root: F) -> io::Result<R::Output>
    where
        F: FnOnce(Self::Runtime) -> R + Send + 'static,
        R: Future + Send + 'static,
        R::Output: Send + 'static;
}

/// Fork-join over closures: the seam for CPU-bound recursion, without futures.
pub trait ForkJoin: Sync {
    /// Runs both closures, possibly at the same time, and returns when both have.
    ///
    /// # Panics
    /// With the panic of either closure, after both have ended.
    fn join<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA + Send,
        B: FnOnce() -> RB + Send,
        RA: Send,
        RB: Send;

    /// Runs `body`, which may spawn jobs that borrow from the caller; returns when all of them have ended.
    ///
    /// # Panics
    /// With the panic of `body` or of a job, after all have ended.
    fn scope<'env, F, R>(&'env self, body: F) -> R
    where
        F: FnOnce(&dyn Scope<'env>) -> R + Send,
        R: Send;
}

/// A job of a [`ForkJoin::scope`].
pub type ScopeJob<'env> = Box<dyn FnOnce(&dyn Scope<'env>) + Send + 'env>;

/// Where the jobs of a [`ForkJoin::scope`] are spawned.
pub trait Scope<'env> {
    /// Runs `job` at some time before the scope ends.
    fn spawn(&self, job: ScopeJob<'env>);
}
