//! The owner of a runtime: it starts the workers, and ends them.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use runtime_core::blocking::is_in_job_of;
use runtime_core::context::{self, EnterGuard};
use runtime_core::park::block_on_current_thread;
use runtime_core::primitives::now;
use runtime_core::task::left_over::Ending;
use runtime_core::thread_stack::on_thread_stack;
use runtime_core::{JoinHandle, yield_now};

use crate::assemble::{Assembled, assemble};
use crate::builder::Builder;
use crate::ending::owns_this_thread;
use crate::handle::{Handle, wait_for_root};
use crate::parts::list::Installed;
use crate::policy::Policy;
use crate::seam::Hooks;

/// How long a shutdown waits for workers before it sweeps again.
const SWEEP_INTERVAL: Duration = Duration::from_millis(1);

/// A runtime with several workers. Dropping it ends it; see [`shutdown`](Runtime::shutdown).
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
    /// Creates a runtime with the default settings: as many workers as the machine has processors.
    ///
    /// # Errors
    /// If the system refuses threads or descriptors.
    pub fn new() -> io::Result<Self> {
        Builder::default().build()
    }

    /// Returns a builder, for other settings.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn with<P: Policy>(builder: &Builder, policy: P) -> io::Result<Self> {
        let policy_name = policy.name();
        let Assembled {
            shared,
            ambient,
            starter,
            workers,
        } = assemble(builder, policy)?;
        // If something fails, dropping it ends what has started.
        let runtime = Self {
            handle: Handle::new(Arc::clone(&shared), ambient, policy_name),
            ended: false,
        };
        for worker in workers {
            let is_open = shared.threads.admit(&shared.closed, true);
            assert!(is_open, "nobody has closed it yet");
            if let Err(error) = Arc::clone(&starter).start_worker(worker) {
                shared.threads.worker_failed();
                return Err(error);
            }
        }
        Installed::started(&shared)?;
        Ok(runtime)
    }

    /// Returns a handle, which spawns from other threads and can outlive this value.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Enters this runtime on the calling thread until the guard is dropped.
    pub fn enter(&self) -> EnterGuard {
        self.handle.enter()
    }

    /// Starts a task.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.spawn(future)
    }

    /// Runs `root` as a task and blocks the calling thread until it has ended. Other tasks continue.
    ///
    /// # Panics
    /// With the root task's own panic. Also inside a task of any runtime.
    pub fn block_on<F>(&self, root: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        wait_for_root("Runtime::block_on", || self.handle.spawn(root))
    }

    /// Blocks the calling thread until [`Handle::stop`], while the tasks run on other threads. This is asyncio's
    /// `run_forever`. Several threads may call it at once: one stop ends one of the calls.
    ///
    /// If `stop` was called before, this returns when a task that is spawned now has been polled. Tasks that were
    /// spawned before have usually begun by then. Tasks continue without `run_forever`.
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
            "await something that the code that calls `stop` completes",
        );
        let stops = &self.handle.core.stops;
        let stop = stops.try_acquire().inspect(|_| {
            // The stop came before: one round all the same.
            let round = self.handle.spawn(yield_now());
            // An error means that the runtime has shut down.
            let _ = block_on_current_thread(round);
        });
        if let Ok(stop) = stop.or_else(|_| stops.blocking_acquire()) {
            stop.forget();
        }
    }

    /// Ends the runtime: drops all tasks that are not being polled, and then waits up to `timeout` for the others and
    /// for blocking jobs. Returns the names of those that are still running.
    ///
    /// On one of the runtime's own threads, it only begins the shutdown, and returns at once. The same holds for
    /// dropping the runtime, also in a blocking job.
    pub fn shutdown(mut self, timeout: Duration) -> Vec<String> {
        self.end(now().checked_add(timeout), timeout)
    }

    /// `deadline` is `None` if it is beyond the clock's range.
    fn end(&mut self, deadline: Option<Instant>, blocking: Duration) -> Vec<String> {
        // The stack of a green task may be left for ever, in the middle of this.
        on_thread_stack(|| self.end_here(deadline, blocking))
    }

    fn end_here(&mut self, deadline: Option<Instant>, blocking: Duration) -> Vec<String> {
        self.ended = true;
        let (core, shared) = (&self.handle.core, &self.handle.core.shared);
        shared.close();
        let is_job = deadline.is_none() && is_in_job_of(&core.ambient);
        if is_job || owns_this_thread(Arc::as_ptr(shared)) {
            // Something of the runtime waits for this thread. The workers end, and sweep, by themselves once it has
            // returned.
            core.blocking.shutdown(Duration::ZERO);
            return Vec::new();
        }
        let _entered = self.handle.enter();
        // The left-over work of tasks that are not pinned to a worker.
        let ending = Ending::begin();
        let all_ended = loop {
            // Tasks that are idle, or in the queues of a worker that is stuck in a poll.
            shared.sweep();
            let now = now();
            let next = now + SWEEP_INTERVAL;
            if shared
                .threads
                .wait_for_end(deadline.map_or(next, |at| at.min(next)))
            {
                break true;
            }
            if deadline.is_some_and(|at| at <= now) {
                break false;
            }
        };
        ending.serve(|limit| {
            match shared.poller.try_lock() {
                Some(_token) => _ = shared.reactor.poll(Some(limit)),
                None => std::thread::sleep(limit),
            }
            for remote in &shared.remotes {
                remote.timers.fire(shared.clock.now());
            }
        });
        // A task that still runs may run for ever.
        shared.close_timers();
        // If all threads have ended, a task that is alive was spawned too late, and another thread is just refusing
        // it.
        let mut names = if all_ended {
            Vec::new()
        } else {
            shared.arena.live_names()
        };
        let left = deadline.map_or(blocking, |at| at.saturating_duration_since(now()));
        names.extend(core.blocking.shutdown(left));
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

#[cfg(all(test, not(lab_loom)))]
mod tests {
    use std::time::{Duration, Instant};

    use crate::{Handle, Runtime};

    /// More references than a worker has prepaid.
    const MANY: usize = 3 * crate::prepaid::BATCH;

    fn clones(handle: &Handle) -> Vec<Handle> {
        vec![handle.clone(); MANY]
    }

    /// Handles that are created on workers and dropped elsewhere, and vice versa, and on another worker.
    #[test]
    fn the_last_handle_of_an_ended_runtime_frees_the_shared_state() {
        let runtime = Runtime::builder().workers(2).build().unwrap();
        let shared = std::sync::Arc::downgrade(&runtime.handle().core.shared);
        let handle = runtime.handle().clone();
        let from_outside = clones(&handle);
        let from_inside = runtime.block_on(async move {
            let dropping = handle.spawn(async move { drop(from_outside) });
            let passing: Vec<_> = (0..8)
                .map(|_| {
                    let handle = handle.clone();
                    handle.clone().spawn(async move { clones(&handle) })
                })
                .collect();
            dropping.await.unwrap();
            let mut handles = clones(&handle);
            for passed in passing {
                // This drops the previous handles, on whichever worker it runs.
                handles = passed.await.unwrap();
            }
            handles
        });
        let last = from_inside[0].clone();
        assert_eq!(
            runtime.shutdown(Duration::from_secs(60)),
            Vec::<String>::new()
        );
        drop(from_inside);
        assert!(shared.upgrade().is_some(), "a handle leads to it");
        drop(last);
        // A worker's thread is counted as ended just before it drops its own reference.
        let deadline = Instant::now() + Duration::from_secs(20);
        while shared.upgrade().is_some() {
            assert!(Instant::now() < deadline, "no handle is left");
            std::thread::yield_now();
        }
    }
}
