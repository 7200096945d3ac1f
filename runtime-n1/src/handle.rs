//! The handle to a loop for other threads.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use runtime_kernel::blocking::BlockingPool;
use runtime_kernel::context::{self, Ambient, Binding, EnterGuard, IoDriver, Refused, Role};
use runtime_kernel::task::{SchedulerArc, Task, bind, bind_named};
use runtime_kernel::task_list::LiveTask;
use runtime_kernel::time::{Clock, TimerShard};
use runtime_kernel::{Capabilities, JoinHandle, Metrics, Native};

use crate::local::Local;
use crate::schedule;
use crate::shared::Shared;

/// A handle to a [`Loop`](crate::Loop): spawns `Send` futures from any thread, and stops the loop. It does not keep
/// the loop alive.
#[derive(Clone)]
pub struct Handle {
    shared: SchedulerArc<Shared>,
    ambient: Arc<dyn Ambient>,
}

impl Handle {
    pub(crate) fn new(shared: SchedulerArc<Shared>, ambient: Arc<dyn Ambient>) -> Self {
        Self { shared, ambient }
    }

    /// The loop that runs the calling thread's task. This is asyncio's `get_running_loop`.
    ///
    /// # Panics
    /// Outside the tasks of an N:1 loop.
    pub fn current() -> Self {
        // Not the context's runtime: the task may have entered another one.
        Local::running()
            .map(|local| Self::new(local.shared.clone(), Arc::clone(&local.ambient)))
            .unwrap_or_else(|| {
                panic!("`Handle::current` was called outside of an N:1 loop's tasks")
            })
    }

    pub(crate) fn ambient_arc(&self) -> Arc<dyn Ambient> {
        Arc::clone(&self.ambient)
    }

    /// Starts a task on the loop. The task runs while the loop runs.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (task, handle) = bind(self.shared.erased(), future);
        self.launch(task);
        handle
    }

    /// Like [`spawn`](Handle::spawn), with a name that reports show.
    #[track_caller]
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
        if let Err(refused) = schedule::launch(&self.shared, task) {
            refused.settle();
        }
    }

    /// Runs a blocking function on the loop's blocking pool.
    #[track_caller]
    pub fn spawn_blocking<F, T>(&self, function: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.shared.blocking.spawn(function)
    }

    /// Enters the loop on the calling thread until the guard is dropped.
    pub fn enter(&self) -> EnterGuard {
        context::enter(self.ambient_arc(), Role::NonWorker)
    }

    /// Polls `future` on the calling thread until it has ended. Tasks, sockets and timers advance only while the loop
    /// runs on its own thread.
    ///
    /// # Panics
    /// Inside a task of any runtime. Also with the future's own panic.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        context::assert_may_block(
            "Handle::block_on",
            "await the future, or spawn it and await its handle",
        );
        let _entered = self.enter();
        runtime_kernel::park::block_on_current_thread(future)
    }

    /// Ends the loop's current run after each ready task has been polled once more. If the loop is not running, it
    /// ends the next run in the same way, after one round. Several calls before the end of a run count as one. This is
    /// asyncio's `stop`.
    pub fn stop(&self) {
        self.shared.stop();
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("closed", &self.shared.is_closed())
            .finish_non_exhaustive()
    }
}

impl Native for Handle {
    const NAME: &'static str = "n1";

    fn ambient(&self) -> &Arc<dyn Ambient> {
        &self.ambient
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            workers: Some(1),
            parallel: false,
            preemptive: false,
            migrates_tasks: false,
        }
    }

    fn live_tasks(&self) -> Option<Vec<LiveTask>> {
        Some(self.shared.arena.live_tasks())
    }

    fn metrics(&self) -> Metrics {
        let counters = &self.shared.counters;
        let mut metrics = Metrics::default();
        metrics.polls = Some(counters.polls.load(Relaxed));
        metrics.parks = Some(counters.parks.load(Relaxed));
        metrics.io_polls = Some(counters.io_polls.load(Relaxed));
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

/// A loop, as seen by the code on its thread and on its blocking threads.
pub(crate) struct LoopAmbient(pub(crate) SchedulerArc<Shared>);

impl Ambient for LoopAmbient {
    fn name(&self) -> &'static str {
        Handle::NAME
    }

    fn scheduler_for_new_task(&self) -> Binding<'_> {
        Binding::Shared(self.0.erased())
    }

    fn launch(&self, task: Task) -> Result<(), Refused> {
        schedule::launch(&self.0, task)
    }

    fn io_driver(&self) -> IoDriver {
        IoDriver::Reactor(Arc::clone(&self.0.reactor))
    }

    fn timer_shard(&self) -> Arc<TimerShard> {
        Arc::clone(&self.0.timers)
    }

    fn clock(&self) -> &Clock {
        &self.0.clock
    }

    fn blocking_pool(&self) -> &Arc<BlockingPool> {
        &self.0.blocking
    }
}

// A scheduler isolates its tasks' panics: none of them can leave it broken for a caller that catches one.
impl std::panic::UnwindSafe for Handle {}
impl std::panic::RefUnwindSafe for Handle {}
