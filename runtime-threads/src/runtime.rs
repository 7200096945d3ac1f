//! The owner of a runtime.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use runtime_kernel::blocking::is_in_job_of;
use runtime_kernel::park::block_on_current_thread;
use runtime_kernel::thread_stack::on_thread_stack;
use runtime_kernel::{Native as _, context, yield_now};

use crate::builder::Builder;
use crate::handle::Handle;
use crate::shared::Shared;
use crate::simulated;
use crate::task_thread::TaskThread;

/// A runtime that gives each task its own OS thread. It lives as long as this value.
///
/// Dropping it ends all tasks: it drops those that wait, waits for those in a poll, and does not wait for blocking
/// jobs. [`shutdown`](Runtime::shutdown) waits for a limited time instead. Inside one of the runtime's own tasks, and
/// in a branch of fork-join that such a task has forked, both only begin the end, because a task cannot wait for
/// itself. The same holds in one of its blocking jobs, because a task may wait for the job.
pub struct Runtime {
    handle: Handle,
    ended: bool,
}

impl Runtime {
    /// Creates a runtime with the default settings.
    ///
    /// # Errors
    /// None at present: a thread is only created when there is a task.
    pub fn new() -> io::Result<Self> {
        Builder::default().build()
    }

    /// Returns a builder, for other settings.
    pub fn builder() -> Builder {
        Builder::default()
    }

    fn with(builder: Builder) -> Self {
        let shared = Shared::new(builder);
        // Only when it can be found: a hook that is called and finds nothing is never called again.
        simulated::ask_when_released(&shared.clock, &shared.me);
        Self {
            handle: Handle::new(shared),
            ended: false,
        }
    }

    /// Returns a handle, which spawns from any thread.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs `future` as a task with its own thread, and blocks the calling thread until it has ended. Any number of
    /// threads may call this at once.
    ///
    /// # Panics
    /// Inside a task of any runtime. With the future's own panic. If the system refuses a thread for the task, or the
    /// runtime ends before the task does.
    pub fn block_on<F>(&self, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.block_on_named("Runtime::block_on", future)
    }

    /// Blocks the calling thread until [`Handle::stop`], while the tasks run on other threads. This is asyncio's
    /// `run_forever`. Several threads may call it at once: one stop ends one of the calls.
    ///
    /// If `stop` was called before, this returns when a task that is spawned now has been polled. Tasks that were
    /// spawned before have usually begun by then. Tasks continue without `run_forever`.
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
            "await something that the code that calls `stop` completes",
        );
        let stops = &self.shared().stops;
        let stop = stops.try_acquire().inspect(|_| {
            // The stop came before: one round all the same.
            let round = self.handle().spawn(yield_now());
            // An error means that the runtime has shut down.
            let _ = block_on_current_thread(round);
        });
        if let Ok(stop) = stop.or_else(|_| stops.blocking_acquire()) {
            stop.forget();
        }
    }

    /// Ends the runtime: drops all tasks that are not being polled, and waits up to `timeout` for the others and for
    /// the blocking jobs. Returns the names of those that are still running; such a task is dropped when its poll
    /// returns.
    pub fn shutdown(mut self, timeout: Duration) -> Vec<String> {
        // A deadline beyond the clock's range means no deadline.
        let deadline = Instant::now().checked_add(timeout);
        let mut names = self.end_tasks(deadline);
        let left = match deadline {
            _ if self.is_inside() => Duration::ZERO,
            Some(deadline) => deadline.saturating_duration_since(Instant::now()),
            None => timeout,
        };
        names.extend(self.end_jobs(left));
        names
    }

    fn end_jobs(&self, timeout: Duration) -> Vec<String> {
        // The stack of a green task may be left for ever, in the middle of this.
        on_thread_stack(|| self.shared().blocking.shutdown(timeout))
    }

    fn shared(&self) -> &Arc<Shared> {
        self.handle.shared()
    }

    /// Whether the caller is in a task of this very runtime, or in a branch of fork-join that such a task has forked.
    fn is_inside(&self) -> bool {
        TaskThread::current_is_of(self.shared())
    }

    /// Refuses new tasks and ends all tasks except those that are still in their polls at `deadline`. Returns the
    /// names of these.
    fn end_tasks(&mut self, deadline: Option<Instant>) -> Vec<String> {
        self.ended = true;
        let threads = &self.shared().thread_list;
        threads.close();
        if self.is_inside() {
            return threads.polling();
        }
        let names = threads.wait(deadline);
        threads.join(deadline);
        names
    }
}

impl Builder {
    /// Creates the runtime. No thread is started yet.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a stack outside its bounds or a name with a zero byte.
    pub fn build(self) -> io::Result<Runtime> {
        self.check()?;
        Ok(Runtime::with(self))
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if is_in_job_of(self.handle.ambient()) {
            self.shared().thread_list.close();
        } else {
            self.end_tasks(None);
        }
        self.end_jobs(Duration::ZERO);
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("handle", &self.handle)
            .finish_non_exhaustive()
    }
}
