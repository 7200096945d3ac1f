//! The owner: it starts the workers, and ends them.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use runtime_core::blocking::is_in_job_of;
use runtime_core::context::{self, Ambient, EnterGuard};
use runtime_core::park::block_on_current_thread;
use runtime_core::task::SchedulerArc;
use runtime_core::{JoinHandle, yield_now};

use crate::builder::Builder;
use crate::handle::Handle;
use crate::monitor::Monitor;
use crate::policy::Policy;
use crate::scheduler::{MnAmbient, Scheduler};
use crate::shared::{Shared, Start};

/// How long a shutdown waits at a time for workers before it sweeps again.
const SWEEP_INTERVAL: Duration = Duration::from_millis(1);

/// A runtime of several workers. Dropping it ends it; see [`shutdown`](Runtime::shutdown).
///
/// ```
/// let runtime = runtime_mn::Runtime::new()?;
/// let sum = runtime.block_on(async {
///     let parts: Vec<_> = (0..4_u64)
///         .map(|part| runtime_core::spawn(async move { part * 10 }))
///         .collect();
///     let mut sum = 0;
///     for part in parts {
///         sum += part.await.unwrap();
///     }
///     sum
/// });
/// assert_eq!(sum, 60);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Runtime {
    handle: Handle,
    ended: bool,
}

impl Runtime {
    /// A runtime with the default knobs: as many workers as the machine has processors.
    ///
    /// # Errors
    /// When the system gives no threads or no descriptors.
    pub fn new() -> io::Result<Self> {
        Builder::default().build()
    }

    /// The knobs.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn with<P: Policy>(builder: &Builder, policy: P) -> io::Result<Self> {
        let (shared, parts) = Shared::new(builder, &policy)?;
        let shared = Arc::new(shared);
        let scheduler = SchedulerArc::new(Scheduler::new(policy, Arc::clone(&shared)));
        let mn = Arc::new(MnAmbient(scheduler));
        let starter: Arc<dyn Start> = Arc::clone(&mn) as _;
        shared.set_starter(Arc::downgrade(&starter));
        let ambient: Arc<dyn Ambient> = mn;
        shared.blocking.set_ambient(Arc::downgrade(&ambient));
        // Dropped on a failure, it ends what has started.
        let runtime = Self {
            handle: Handle::new(Arc::clone(&shared), ambient),
            ended: false,
        };
        for (index, parts) in parts.into_iter().enumerate() {
            assert!(shared.admit_worker(), "nobody has closed it yet");
            if let Err(error) = Arc::clone(&starter).start_worker(parts, index) {
                shared.is_last_to_end();
                shared.thread_ended();
                return Err(error);
            }
        }
        Monitor::start(&shared)?;
        Ok(runtime)
    }

    /// A handle to spawn from other threads, or to keep after this.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Makes this runtime the calling thread's until the guard is dropped.
    pub fn enter(&self) -> EnterGuard {
        self.handle.enter()
    }

    /// Starts a task.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.spawn(future)
    }

    /// Runs `root` as a task and blocks the calling thread until it has ended. Other tasks go on.
    ///
    /// # Panics
    /// With the root task's own panic; inside a task of any runtime.
    pub fn block_on<F>(&self, root: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        wait_for_root("Runtime::block_on", || self.handle.spawn(root))
    }

    /// Lends the calling thread to the program: blocks it until [`Handle::stop`], while the tasks run on threads of
    /// their own. asyncio's `run_forever`. From several threads at once too: one stop ends one of the waits.
    ///
    /// After a stop that came before, it returns when a task that is spawned now has had its turn: what was spawned
    /// before has begun by then, as a rule. Tasks need no `run_forever` to go on.
    ///
    /// ```
    /// let runtime = runtime_mn::Runtime::new()?;
    /// let handle = runtime.handle().clone();
    /// runtime.spawn(async move { handle.stop() });
    /// runtime.run_forever();
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Panics
    /// Inside a task of any runtime.
    pub fn run_forever(&self) {
        context::assert_may_block(
            "Runtime::run_forever",
            "await something that the one who stops it completes",
        );
        let stops = &self.handle.core.shared.stops;
        let stop = stops.try_acquire().inspect(|_| {
            // It came before: one round all the same.
            let round = self.handle.spawn(yield_now());
            // An error says that the runtime has shut down.
            let _ = block_on_current_thread(round);
        });
        if let Ok(stop) = stop.or_else(|_| stops.blocking_acquire()) {
            stop.forget();
        }
    }

    /// Ends the runtime: drops all tasks that are not being polled, then waits up to `timeout` for the others and for
    /// blocking jobs. Returns the names of those that still run.
    ///
    /// On a thread of the runtime's own, whatever runs there, it only begins the end, and returns at once. So does
    /// dropping the runtime, in a blocking job as well.
    pub fn shutdown(mut self, timeout: Duration) -> Vec<String> {
        self.end(Instant::now().checked_add(timeout), timeout)
    }

    /// `deadline` is `None` for one that is too far away to be told.
    fn end(&mut self, deadline: Option<Instant>, blocking: Duration) -> Vec<String> {
        self.ended = true;
        let shared = &self.handle.core.shared;
        shared.close();
        let is_job = deadline.is_none() && is_in_job_of(&self.handle.core.ambient);
        if is_job || shared.owns_this_thread() {
            // Something of its own waits for this thread: the workers end, and sweep, by themselves once it has
            // returned.
            shared.blocking.shutdown(Duration::ZERO);
            return Vec::new();
        }
        let _entered = self.handle.enter();
        let all_ended = loop {
            // Tasks that are idle, or in the queues of a worker that is stuck in a poll.
            shared.sweep();
            let now = Instant::now();
            let next = now + SWEEP_INTERVAL;
            if shared.wait_for_threads(Some(deadline.map_or(next, |at| at.min(next)))) {
                break true;
            }
            if deadline.is_some_and(|at| at <= now) {
                break false;
            }
        };
        // With no thread left, a task that is alive was spawned too late, and is just being refused elsewhere.
        let mut names = if all_ended {
            Vec::new()
        } else {
            shared.arena.live_names()
        };
        let left = deadline.map_or(blocking, |at| at.saturating_duration_since(Instant::now()));
        names.extend(shared.blocking.shutdown(left));
        if names.is_empty() {
            shared.reactor.shut_down();
        }
        names
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if !self.ended {
            self.end(None, Duration::ZERO);
        }
    }
}

/// Blocks the calling thread until the task that `spawn` starts has ended.
pub(crate) fn wait_for_root<T>(what: &str, spawn: impl FnOnce() -> JoinHandle<T>) -> T {
    context::assert_may_block(what, "await the future, or spawn it and await its handle");
    match block_on_current_thread(spawn()) {
        Ok(output) => output,
        Err(error) => match error.try_into_panic() {
            Ok(payload) => std::panic::resume_unwind(payload),
            Err(error) => panic!("the root task of `{what}` gave no value: {error}"),
        },
    }
}
