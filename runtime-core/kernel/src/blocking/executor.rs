//! Executors: blocking pools that a program creates, in addition to each runtime's own.
//!
//! A runtime's own pool is for functions that wait: it may grow to hundreds of threads. Use an executor with a fixed
//! number of threads for functions that compute, or for functions of which only a few may run at once (a database
//! with ten connections). Further jobs wait in its queue.
//!
//! Equivalent in asyncio: `ThreadPoolExecutor`, `loop.run_in_executor` and `loop.set_default_executor`.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::job_context::JobContext;
use super::pool::{BlockingConfig, BlockingPool};
use crate::context;
use crate::native::Native;
use crate::task::JoinHandle;

/// A named pool of threads for functions that block or compute, with its own queue. Clones share the pool.
///
/// It belongs to no runtime. You can use it from several runtimes, or from outside any. A function runs within the
/// runtime that it was sent from. When the last clone is dropped, queued jobs are cancelled, and running ones
/// continue.
///
/// - *Fairness*: jobs begin in the order in which they were queued.
/// - *Cancel safety*: dropping a job's handle detaches the job, as with any task.
/// - *Cost*: a job is a separate task: one allocation, a short lock to queue it, and a system call if a thread must
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
    /// An executor with at most `max_threads` threads, which are called `name` and a number. Threads are started when
    /// jobs arrive, and end after 10 s without a job.
    ///
    /// # Panics
    /// If `max_threads` is zero, because its jobs would wait for ever.
    pub fn new(name: impl Into<String>, max_threads: usize) -> Self {
        Self::with_config(BlockingConfig {
            max_threads,
            thread_name: name.into(),
            ..BlockingConfig::default()
        })
    }

    /// Like [`new`](Executor::new), with every option.
    ///
    /// # Panics
    /// If `max_threads` is zero.
    pub fn with_config(config: BlockingConfig) -> Self {
        Self {
            pool: BlockingPool::new(config),
        }
    }

    /// Runs `function` on one of the threads as soon as one is free. Jobs begin in the order in which they were
    /// queued.
    ///
    /// Inside a runtime, the function may use it: `spawn` and the like find it. A panic stays in the handle. You can
    /// abort a job until the function starts: a queued job is taken out of the queue and dropped at once, on the
    /// aborting thread. A running job continues. After [`shutdown`](Executor::shutdown) the handle reports
    /// `Cancelled`. If the system refuses a thread and the executor has none, it reports `SpawnFailed`.
    #[doc(alias = "run_in_executor")]
    #[doc(alias = "submit")]
    #[track_caller]
    pub fn spawn<F, T>(&self, function: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        // The runtime's handle, not the task's own: under 1:1 that one ends with the task.
        let runtime = context::try_with(|ambient| {
            let of_runtime = ambient.blocking_pool().context();
            of_runtime.unwrap_or_else(|| Arc::downgrade(ambient) as Weak<dyn JobContext>)
        });
        self.pool.spawn_within(runtime, function)
    }

    /// The prefix of its threads' names.
    pub fn name(&self) -> &str {
        &self.pool.config().thread_name
    }

    /// The maximum number of threads.
    pub fn max_threads(&self) -> usize {
        self.pool.config().max_threads
    }

    /// The number of threads, busy or idle.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// The number of jobs that wait for a thread. Watch it to choose the size of the executor.
    pub fn queued(&self) -> usize {
        self.pool.queued()
    }

    /// Cancels queued jobs, waits up to `timeout` for running ones, and returns the names of those that are still
    /// running then. Blocks the calling thread, unless `timeout` is zero; from one of its own threads it does not
    /// wait.
    ///
    /// # Panics
    /// Inside a task, unless `timeout` is zero.
    pub fn shutdown(&self, timeout: Duration) -> Vec<String> {
        if !timeout.is_zero() {
            context::assert_may_block(
                "Executor::shutdown",
                "await the jobs and call it with a timeout of zero instead, or call it in `spawn_blocking`",
            );
        }
        self.pool.shutdown(timeout)
    }
}

impl BlockingPool {
    /// Sends new jobs to `executor` instead, which ends with this pool from now on. See [`set_default_executor`].
    pub fn set_default(&self, executor: Executor) {
        self.replace_by(executor.pool);
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

/// Runs `function` on `executor`, or, with `None`, on the ambient runtime's default. These are [`Executor::spawn`] and
/// [`spawn_blocking`](crate::spawn_blocking) under asyncio's name; the second is also `asyncio.to_thread`.
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
/// With `None`, outside a runtime.
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
            // Not in the closure: a refused function is dropped, and its destructor may do anything.
            let pool = context::with("run_in_executor", |ambient| {
                Arc::clone(ambient.blocking_pool())
            });
            pool.spawn(function)
        }
    }
}

/// From now on the ambient runtime uses `executor` for [`spawn_blocking`](crate::spawn_blocking), and for everything
/// else that needs a thread that may block, such as files and host names.
///
/// The executor then belongs to the runtime: it is shut down with it, and its jobs are awaited as the contract says.
/// Running and queued jobs of the previous executor continue there. asyncio's `loop.set_default_executor`.
///
/// The runtimes' builders also take an executor, which is then the default from the first job on.
/// [`set_default_executor_of`] replaces a runtime's default from outside.
///
/// # Panics
/// Outside a runtime.
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

/// Like [`set_default_executor`], for the runtime that `runtime` is a handle to. You can call it from any thread.
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
