//! What everybody but the owner has of a runtime.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use runtime_core::blocking::BlockingPool;
use runtime_core::context::{self, Ambient, EnterGuard, IoDriver, Refused, Role};
use runtime_core::task::{SchedulerArc, SchedulerRef, Task, bind, bind_named};
use runtime_core::time::TimerShard;
use runtime_core::{Capabilities, JoinHandle, Metrics, Native};

use crate::MnForkJoin;
use crate::runtime::wait_for_root;
use crate::shared::Shared;
use crate::worker::Worker;

/// A handle to a [`Runtime`](crate::Runtime): spawns from any thread. It keeps no runtime alive.
#[derive(Clone)]
pub struct Handle {
    pub(crate) shared: SchedulerArc<Shared>,
    ambient: Arc<dyn Ambient>,
}

impl Handle {
    pub(crate) fn new(shared: SchedulerArc<Shared>, ambient: Arc<dyn Ambient>) -> Self {
        Self { shared, ambient }
    }

    /// Starts a task.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (task, handle) = bind(self.shared.erased(), future);
        self.launch(task);
        handle
    }

    /// As [`spawn`](Handle::spawn), with a name that reports show.
    pub fn spawn_named<F>(&self, name: impl Into<Box<str>>, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (task, handle) = bind_named(self.shared.erased(), name, future);
        self.launch(task);
        handle
    }

    fn launch(&self, task: Task) {
        if let Err(refused) = Shared::launch(&self.shared, task) {
            refused.settle();
        }
    }

    /// Runs a function that blocks on the runtime's blocking pool.
    pub fn spawn_blocking<F, T>(&self, function: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.shared.blocking.spawn(function)
    }

    /// Makes the runtime the calling thread's until the guard is dropped.
    pub fn enter(&self) -> EnterGuard {
        context::enter(Arc::clone(&self.ambient), Role::Guest)
    }

    /// Runs `root` as a task and blocks the calling thread until it has ended. May be called from many threads at once.
    ///
    /// # Panics
    /// With the root task's own panic; inside a task of any runtime; if the runtime shuts down first.
    pub fn block_on<F>(&self, root: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        wait_for_root("Handle::block_on", || self.spawn(root))
    }

    /// Ends one [`Runtime::run_forever`](crate::Runtime::run_forever): one that goes on, else the next. From any thread, tasks among them.
    /// Tasks go on.
    pub fn stop(&self) {
        self.shared.stops.add_permits(1);
    }

    /// Fork-join over closures, on this runtime's workers.
    pub fn fork_join(&self) -> MnForkJoin {
        MnForkJoin::new(self.shared.clone())
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("workers", &self.shared.remotes.len())
            .field("closed", &self.shared.closed.load(Relaxed))
            .finish_non_exhaustive()
    }
}

impl Native for Handle {
    const NAME: &'static str = "mn";

    fn ambient(&self) -> &Arc<dyn Ambient> {
        &self.ambient
    }

    fn capabilities(&self) -> Capabilities {
        let workers = self.shared.remotes.len();
        Capabilities {
            workers: Some(workers),
            parallel: workers > 1,
            preemptive: false,
            migrates_tasks: workers > 1,
        }
    }

    fn metrics(&self) -> Metrics {
        self.shared.metrics()
    }

    fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Handle::spawn(self, future)
    }
}

/// A runtime as the code on its threads sees it.
pub(crate) struct MnAmbient(pub(crate) SchedulerArc<Shared>);

impl Ambient for MnAmbient {
    fn name(&self) -> &'static str {
        Handle::NAME
    }

    fn scheduler_for_new_task(&self) -> SchedulerRef {
        self.0.erase()
    }

    fn launch(&self, task: Task) -> Result<(), Refused> {
        Shared::launch(&self.0, task)
    }

    fn io_driver(&self) -> IoDriver {
        IoDriver::Reactor(Arc::clone(&self.0.reactor))
    }

    fn timer_shard(&self) -> Arc<TimerShard> {
        // A thread that is no worker has no wheel: the first worker's serves it.
        let remote = Worker::current(&self.0).map_or(&self.0.remotes[0], Worker::remote);
        Arc::clone(&remote.timers)
    }

    fn blocking_pool(&self) -> &Arc<BlockingPool> {
        &self.0.blocking
    }
}

// A scheduler keeps its tasks' panics apart: none can leave it broken for a caller that catches one.
impl std::panic::UnwindSafe for Handle {}
impl std::panic::RefUnwindSafe for Handle {}
