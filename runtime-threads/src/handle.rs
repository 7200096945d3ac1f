//! The handle to a runtime.

use std::fmt;
use std::future::Future;
use std::panic::resume_unwind;
use std::sync::Arc;

use runtime_kernel::context::{self, Ambient, EnterGuard, Role};
use runtime_kernel::park::block_on_current_thread;
use runtime_kernel::task::{bind, bind_named};
use runtime_kernel::task_list::LiveTask;
use runtime_kernel::{Capabilities, JoinError, JoinHandle, Metrics, Native};

use crate::shared::{NAME, Shared};
use crate::task_thread::TaskThread;

/// A handle to a [`Runtime`](crate::Runtime): spawns tasks from any thread. It does not keep the runtime alive.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    /// The same, as seen by the code on non-worker threads.
    ambient: Arc<dyn Ambient>,
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let ambient = Arc::clone(&shared) as Arc<dyn Ambient>;
        Self { shared, ambient }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Starts a task on its own thread.
    ///
    /// The handle reports [`JoinError::SpawnFailed`] if the system refuses a thread, and [`JoinError::Cancelled`] if
    /// the runtime has shut down.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let thread = TaskThread::new(Arc::clone(&self.shared));
        let (task, handle) = bind(&thread.erase(), future);
        if let Err(refused) = TaskThread::start(task) {
            refused.settle();
        }
        handle
    }

    /// Like [`spawn`](Handle::spawn), with a name that reports show.
    #[track_caller]
    pub fn spawn_named<F>(&self, name: impl Into<Box<str>>, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let thread = TaskThread::new(Arc::clone(&self.shared));
        let (task, handle) = bind_named(&thread.erase(), name, future);
        if let Err(refused) = TaskThread::start(task) {
            refused.settle();
        }
        handle
    }

    /// Runs a blocking function on the runtime's blocking pool. (A task has its own thread, so blocking there delays
    /// no other task; but while it blocks it can't be aborted, and its own sockets and timers wait.)
    #[track_caller]
    pub fn spawn_blocking<F, T>(&self, function: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.shared.blocking.spawn(function)
    }

    /// Makes this the calling thread's runtime until the guard is dropped: sockets, timers and the free functions find
    /// it.
    pub fn enter(&self) -> EnterGuard {
        // A task's thread remains a worker: it may not block for other tasks.
        let role = if context::in_task() {
            Role::Worker
        } else {
            Role::NonWorker
        };
        context::enter(Arc::clone(&self.ambient), role)
    }

    /// Ends one [`Runtime::run_forever`](crate::Runtime::run_forever): one in progress, or else the next. You may call
    /// it from any thread, including those of tasks. Tasks continue.
    pub fn stop(&self) {
        self.shared.stops.add_permits(1);
    }

    /// Like [`Runtime::block_on`](crate::Runtime::block_on).
    ///
    /// # Panics
    /// Same as there.
    pub fn block_on<F>(&self, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.block_on_named("Handle::block_on", future)
    }

    pub(crate) fn block_on_named<F>(&self, what: &str, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match self.run_root(what, future) {
            Ok(output) => output,
            Err(error) => panic!("the root task of `{what}` gave no value: {error}"),
        }
    }

    /// Awaits a task from the calling thread.
    ///
    /// # Errors
    /// [`JoinError::SpawnFailed`] and [`JoinError::Cancelled`].
    ///
    /// # Panics
    /// Inside a task of any runtime. Also with the task's own panic.
    pub(crate) fn run_root<F>(&self, what: &str, future: F) -> Result<F::Output, JoinError>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        context::assert_may_block(what, "await the future, or spawn it and await its handle");
        block_on_current_thread(self.spawn(future)).map_err(|error| match error.try_into_panic() {
            Ok(payload) => resume_unwind(payload),
            Err(error) => error,
        })
    }
}

impl Native for Handle {
    const NAME: &'static str = NAME;

    fn ambient(&self) -> &Arc<dyn Ambient> {
        &self.ambient
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            workers: None,
            parallel: true,
            preemptive: true,
            migrates_tasks: false,
        }
    }

    fn live_tasks(&self) -> Option<Vec<LiveTask>> {
        Some(self.shared.thread_list.live_tasks())
    }

    fn metrics(&self) -> Metrics {
        let counts = self.shared.thread_list.counts();
        let mut metrics = Metrics::default();
        metrics.live_tasks = Some(counts.live);
        metrics.polls = Some(counts.polls);
        metrics.parks = Some(counts.parks);
        metrics.blocking_threads = Some(self.shared.blocking.threads() as u64);
        metrics
    }

    #[track_caller]
    fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Handle::spawn(self, future)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("live_tasks", &self.shared.thread_list.counts().live)
            .finish_non_exhaustive()
    }
}
