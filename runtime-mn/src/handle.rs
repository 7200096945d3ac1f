//! The handle to a runtime, for all code except the owner.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use runtime_core::context::{self, Ambient, EnterGuard, Role};
use runtime_core::park::block_on_current_thread;
use runtime_core::task::{Attributes, Task, bind, bind_named, bind_with};
use runtime_core::task_list::LiveTask;
use runtime_core::{Capabilities, JoinHandle, Metrics, Native};

use crate::handle_refs::CoreRef;
use crate::parts::list::Installed;
use crate::scheduler::Shared;
use crate::seam::Hooks;

/// A handle to a [`Runtime`](crate::Runtime): spawns from any thread. It does not keep the runtime alive.
#[derive(Clone)]
pub struct Handle {
    pub(crate) core: CoreRef,
}

impl Handle {
    pub(crate) fn new(
        shared: Arc<Shared<Installed>>,
        ambient: Arc<dyn Ambient>,
        policy: &'static str,
    ) -> Self {
        Self {
            core: CoreRef::new(shared, ambient, policy),
        }
    }

    /// Starts a task.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (task, handle) = bind(&self.core.scheduler, future);
        self.launch(task);
        handle
    }

    /// Like [`spawn`](Handle::spawn), with a name that reports show together with the place of this call.
    #[track_caller]
    pub fn spawn_named<F>(&self, name: impl Into<Box<str>>, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (task, handle) = bind_named(&self.core.scheduler, name, future);
        self.launch(task);
        handle
    }

    /// Like [`spawn`](Handle::spawn), with attributes, such as a tag for the policy. The task is 8 bytes larger.
    #[track_caller]
    pub fn spawn_with<F>(&self, attributes: Attributes, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (task, handle) = bind_with(&self.core.scheduler, attributes, future);
        self.launch(task);
        handle
    }

    fn launch(&self, task: Task) {
        if let Err(refused) = self.core.ambient.launch(task) {
            refused.settle();
        }
    }

    /// Runs a blocking function on the runtime's blocking pool.
    #[track_caller]
    pub fn spawn_blocking<F, T>(&self, function: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.core.blocking.spawn(function)
    }

    /// Enters the runtime on the calling thread until the guard is dropped.
    pub fn enter(&self) -> EnterGuard {
        context::enter(Arc::clone(&self.core.ambient), Role::NonWorker)
    }

    /// Runs `root` as a task and blocks the calling thread until it has ended. Any number of threads may call this at
    /// once.
    ///
    /// # Panics
    /// With the root task's own panic. Also inside a task of any runtime, and if the runtime shuts down first.
    pub fn block_on<F>(&self, root: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        wait_for_root("Handle::block_on", || self.spawn(root))
    }

    /// The name of the workers' policy.
    pub fn policy(&self) -> &'static str {
        self.core.policy
    }

    /// Ends one [`Runtime::run_forever`](crate::Runtime::run_forever): one in progress, or else the next. You may call
    /// it from any thread, including those of tasks. Tasks continue.
    pub fn stop(&self) {
        self.core.stops.add_permits(1);
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("workers", &self.core.shared.workers)
            .field("closed", &self.core.shared.closed.load(Relaxed))
            .finish_non_exhaustive()
    }
}

impl Native for Handle {
    const NAME: &'static str = "mn";

    fn ambient(&self) -> &Arc<dyn Ambient> {
        &self.core.ambient
    }

    fn capabilities(&self) -> Capabilities {
        let workers = self.core.shared.workers;
        Capabilities {
            workers: Some(workers),
            parallel: workers > 1,
            preemptive: false,
            migrates_tasks: workers > 1,
        }
    }

    fn live_tasks(&self) -> Option<Vec<LiveTask>> {
        Some(self.core.shared.arena.live_tasks())
    }

    fn metrics(&self) -> Metrics {
        let mut metrics = Metrics::default();
        metrics.blocking_threads = Some(self.core.blocking.threads() as u64);
        Installed::report(&self.core.shared, &mut metrics);
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

    #[track_caller]
    fn spawn_with<F>(&self, attributes: Attributes, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Handle::spawn_with(self, attributes, future)
    }
}

// A scheduler isolates its tasks' panics: none of them can leave it broken for a caller that catches one.
impl std::panic::UnwindSafe for Handle {}
impl std::panic::RefUnwindSafe for Handle {}

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
