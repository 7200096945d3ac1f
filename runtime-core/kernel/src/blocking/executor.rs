//! Executors: blocking pools that programs make, beside the one that each runtime has.
//!
//! A runtime's own pool is for functions that wait: it may grow to hundreds of threads. What computes, or what must
//! not run more than a few times at once (a database with ten connections), belongs on an executor with as many
//! threads as are wanted; what is more waits in its queue.
//!
//! asyncio's `ThreadPoolExecutor`, `loop.run_in_executor` and `loop.set_default_executor`.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::{BlockingConfig, BlockingPool};
use crate::context::{self, Ambient};
use crate::native::Native;
use crate::task::JoinHandle;

/// A named pool of threads for functions that block or compute, with a queue of its own. Clones are the same pool.
///
/// It belongs to no runtime and can be used from several, and from outside of any: a function finds the runtime that
/// it was sent from. When the last clone is dropped, jobs that still wait in the queue are cancelled, and those that
/// run go on.
///
/// - *Fairness*: jobs begin in the order in which they came.
/// - *Cancel safety*: dropping a job's handle detaches it, as any task's.
/// - *Cost*: a job is a task of its own: one allocation, a short lock to queue it, and a system call if a thread must
///   be woken. A thread is started only if none is idle.
///
/// ```
/// use runtime_core::blocking::Executor;
/// use runtime_core::park::block_on_current_thread;
///
/// let hashing = Executor::new("hashing", 2);
/// let jobs: Vec<_> = (0..10_u64).map(|n| hashing.spawn(move || n * n)).collect();
/// let mut sum = 0;
/// for job in jobs {
///     sum += block_on_current_thread(job).unwrap();
/// }
/// assert_eq!(sum, 285);
/// assert!(hashing.threads() <= 2);
/// ```
#[derive(Clone)]
pub struct Executor {
    pool: Arc<BlockingPool>,
}

impl Executor {
    /// An executor of at most `max_threads` threads, called `name` and a number. Threads come with the jobs and leave
    /// after 10 s without any.
    ///
    /// # Panics
    /// If `max_threads` is zero: its jobs would wait for ever.
    pub fn new(name: impl Into<String>, max_threads: usize) -> Self {
        Self::with_config(BlockingConfig {
            max_threads,
            thread_name: name.into(),
            ..BlockingConfig::default()
        })
    }

    /// [`new`](Executor::new) with all that can be chosen.
    ///
    /// # Panics
    /// If `max_threads` is zero.
    pub fn with_config(config: BlockingConfig) -> Self {
        Self {
            pool: BlockingPool::new(config),
        }
    }

    /// Runs `function` on one of the threads as soon as one is free; jobs begin in the order in which they came.
    ///
    /// Inside of a runtime, the function may use it: `spawn` and the like find it. A panic stays in the handle.
    /// Aborting has an effect until the function starts: a job that waits is taken out of the queue and dropped at
    /// once, on the thread that aborts it; one that runs goes on. After [`shutdown`](Executor::shutdown) the handle
    /// reports `Cancelled`; if the system gives no thread and there is none, `SpawnFailed`.
    #[doc(alias = "run_in_executor")]
    #[doc(alias = "submit")]
    #[track_caller]
    pub fn spawn<F, T>(&self, function: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.pool
            .spawn_within(context::try_with(Arc::downgrade), function)
    }

    /// For a runtime's pool that has been replaced by this one.
    pub(super) fn spawn_within<F, T>(
        &self,
        ambient: Option<Weak<dyn Ambient>>,
        function: F,
    ) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.pool.spawn_within(ambient, function)
    }

    /// What its threads' names begin with.
    pub fn name(&self) -> &str {
        &self.pool.config().thread_name
    }

    /// The most threads that it may have.
    pub fn max_threads(&self) -> usize {
        self.pool.config().max_threads
    }

    /// How many threads it has, busy or idle.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// How many jobs wait for a thread: what to watch if its size is to be chosen.
    pub fn queued(&self) -> usize {
        self.pool.queued()
    }

    /// Cancels the jobs that wait, waits up to `timeout` for those that run, and returns the names of those still
    /// running then. Blocks the calling thread, unless `timeout` is zero; from one of its own threads it does not
    /// wait.
    ///
    /// # Panics
    /// Inside of a task, unless `timeout` is zero.
    pub fn shutdown(&self, timeout: Duration) -> Vec<String> {
        if !timeout.is_zero() {
            context::assert_may_block(
                "Executor::shutdown",
                "await the jobs and call it with a timeout of zero instead, or call it in `spawn_blocking`",
            );
        }
        self.shutdown_with_its_runtime(timeout)
    }

    /// As [`shutdown`](Executor::shutdown), for a runtime whose pool it replaces: whether that one may block is its
    /// own question.
    pub(super) fn shutdown_with_its_runtime(&self, timeout: Duration) -> Vec<String> {
        self.pool.shutdown(timeout)
    }

    pub(super) fn begin_shutdown(&self) {
        self.pool.begin_shutdown();
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor")
            .field("name", &self.name())
            .field("max_threads", &self.max_threads())
            .field("threads", &self.threads())
            .field("queued", &self.queued())
            .finish()
    }
}

/// Runs `function` on `executor`, or with `None` on the ambient runtime's default: [`Executor::spawn`] and
/// [`spawn_blocking`](crate::spawn_blocking) under asyncio's name. `asyncio.to_thread` is the second.
///
/// ```
/// use runtime_core::blocking::{Executor, run_in_executor};
///
/// # async fn in_a_task() -> Result<(), runtime_core::JoinError> {
/// let own = Executor::new("hashing", 2);
/// let sum: u64 = run_in_executor(&own, || (0..1000).sum()).await?;
/// let text = run_in_executor(None, || std::fs::read_to_string("Cargo.toml")).await?;
/// # drop((sum, text)); Ok(())
/// # }
/// ```
///
/// # Panics
/// With `None`, outside of a runtime.
pub fn run_in_executor<'a, F, T>(
    executor: impl Into<Option<&'a Executor>>,
    function: F,
) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match executor.into() {
        Some(executor) => executor.spawn(function),
        None => {
            // Not in the closure: a function that is refused is dropped, and that may do anything.
            let pool = context::with("run_in_executor", |ambient| {
                Arc::clone(ambient.blocking_pool())
            });
            pool.spawn(function)
        }
    }
}

/// From now on the ambient runtime runs on `executor` what [`spawn_blocking`](crate::spawn_blocking) is given, and all
/// else for which it needs a thread that may block, such as files and host names.
///
/// The executor becomes the runtime's: it is shut down with it, and the jobs on it are waited for as the contract
/// says. Jobs that were begun on the one before go on there, and so do those that wait in its queue. asyncio's
/// `loop.set_default_executor`.
///
/// The builders of the runtimes take one, too: there it is the default from the first job on.
/// [`set_default_executor_of`] replaces that of a runtime from outside.
///
/// # Panics
/// Outside of a runtime.
///
/// ```
/// use runtime_core::blocking::{Executor, set_default_executor};
///
/// # fn in_a_task() {
/// set_default_executor(Executor::new("few", 4));
/// let job = runtime_core::spawn_blocking(|| std::thread::current().name().map(str::to_owned));
/// // its name: few-0
/// # drop(job);
/// # }
/// ```
pub fn set_default_executor(executor: Executor) {
    let pool = context::with("set_default_executor", |ambient| {
        Arc::clone(ambient.blocking_pool())
    });
    pool.set_default(executor);
}

/// As [`set_default_executor`], for the runtime that `runtime` is a handle to; from any thread.
///
/// ```
/// use runtime_core::blocking::{Executor, set_default_executor_of};
/// use runtime_core::Native;
///
/// fn prepare(handle: &impl Native) {
///     set_default_executor_of(handle, Executor::new("few", 4));
/// }
/// ```
pub fn set_default_executor_of(runtime: &impl Native, executor: Executor) {
    runtime.ambient().blocking_pool().set_default(executor);
}
