//! The owner.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use runtime_kernel::blocking::is_in_job_of;
use runtime_kernel::park::block_on_current_thread;
use runtime_kernel::{Native as _, context, yield_now};

use crate::builder::Builder;
use crate::handle::Handle;
use crate::shared::Shared;
use crate::task_thread::TaskThread;

/// A runtime that gives each task an OS thread of its own. It lives as long as this value.
///
/// Dropping it ends all tasks: those that wait are dropped, those in a poll are waited for, and blocking jobs are
/// left to themselves. [`shutdown`](Runtime::shutdown) waits for a limited time instead. Inside one of the runtime's
/// own tasks, and in a branch of fork-join that such a task has forked, either of them only begins the end, as a task
/// cannot wait for itself. So does dropping it in one of its blocking jobs, for which a task may wait.
pub struct Runtime {
    handle: Handle,
    ended: bool,
}

impl Runtime {
    /// A runtime with the default knobs.
    ///
    /// # Errors
    /// None at present: threads are only asked for when there are tasks.
    pub fn new() -> io::Result<Self> {
        Builder::default().build()
    }

    /// The knobs.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn with(builder: Builder) -> Self {
        Self {
            handle: Handle::new(Shared::new(builder)),
            ended: false,
        }
    }

    /// A handle to spawn with, from any thread.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs `future` as a task, with a thread of its own, and blocks the calling thread until it has ended. From any
    /// number of threads at once.
    ///
    /// # Panics
    /// Inside a task of any runtime; with the future's own panic; when the system gives no thread for it, or the
    /// runtime ends before it does.
    pub fn block_on<F>(&self, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.block_on_named("Runtime::block_on", future)
    }

    /// Lends the calling thread to the program: blocks it until [`Handle::stop`], while the tasks run on threads of
    /// their own. asyncio's `run_forever`. From several threads at once too: one stop ends one of the waits.
    ///
    /// After a stop that came before, it returns when a task that is spawned now has had its turn: what was spawned
    /// before has begun by then, as a rule. Tasks need no `run_forever` to go on.
    ///
    /// ```
    /// let runtime = runtime_threads::Runtime::new()?;
    /// let handle = runtime.handle();
    /// let stops = handle.clone();
    /// handle.spawn(async move { stops.stop() });
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
        let stops = &self.shared().stops;
        let stop = stops.try_acquire().inspect(|_| {
            // It came before: one round all the same.
            let round = self.handle().spawn(yield_now());
            // An error says that the runtime has shut down.
            let _ = block_on_current_thread(round);
        });
        if let Ok(stop) = stop.or_else(|_| stops.blocking_acquire()) {
            stop.forget();
        }
    }

    /// Ends the runtime: drops all tasks that are not being polled, and waits up to `timeout` for the others and for
    /// the blocking jobs. Returns the names of those that still run; a task of those is dropped when its poll returns.
    pub fn shutdown(mut self, timeout: Duration) -> Vec<String> {
        // A deadline beyond the clock's range is none.
        let deadline = Instant::now().checked_add(timeout);
        let mut names = self.end_tasks(deadline);
        let left = match deadline {
            _ if self.is_inside() => Duration::ZERO,
            Some(deadline) => deadline.saturating_duration_since(Instant::now()),
            None => timeout,
        };
        names.extend(self.shared().blocking.shutdown(left));
        names
    }

    fn shared(&self) -> &Arc<Shared> {
        self.handle.shared()
    }

    /// True in a task of this very runtime, and in a branch of fork-join that one has forked.
    fn is_inside(&self) -> bool {
        TaskThread::current_is_of(self.shared())
    }

    /// Refuses spawns and ends the tasks, all but those that are still in their polls at `deadline`, whose names it
    /// returns.
    fn end_tasks(&mut self, deadline: Option<Instant>) -> Vec<String> {
        self.ended = true;
        let registry = &self.shared().registry;
        registry.close();
        if self.is_inside() {
            return registry.polling();
        }
        let names = registry.wait(deadline);
        registry.join(deadline);
        names
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if is_in_job_of(self.handle.ambient()) {
            self.shared().registry.close();
        } else {
            self.end_tasks(None);
        }
        self.shared().blocking.shutdown(Duration::ZERO);
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("handle", &self.handle)
            .finish_non_exhaustive()
    }
}
