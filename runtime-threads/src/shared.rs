//! What the threads, handles and tasks of a runtime share.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, Weak};

use runtime_kernel::Native;
use runtime_kernel::blocking::BlockingPool;
use runtime_kernel::context::{Ambient, Binding, IoDriver, Refused};
use runtime_kernel::task::Task;
use runtime_kernel::time::{Clock, TimerShard};
use runtime_library::sync::Semaphore;

use crate::builder::Builder;
use crate::handle::Handle;
use crate::non_worker_timers;
use crate::registry::Registry;
use crate::simulated;
use crate::task_thread::TaskThread;

pub(crate) struct Shared {
    pub(crate) registry: Registry,
    pub(crate) blocking: Arc<BlockingPool>,
    pub(crate) clock: Clock,
    /// The timers of non-worker threads, if they go by simulated time.
    pub(crate) simulated_non_workers: OnceLock<Arc<TimerShard>>,
    pub(crate) stack_bytes: usize,
    thread_name: String,
    threads_named: AtomicU64,
    /// A permit for each `stop` that has ended no `run_forever` yet.
    pub(crate) stops: Semaphore,
    pub(crate) me: Weak<Self>,
}

impl Shared {
    pub(crate) fn new(builder: Builder) -> Arc<Self> {
        let blocking = BlockingPool::new(builder.blocking);
        if let Some(executor) = builder.default_executor {
            blocking.set_default(executor);
        }
        let shared = Arc::new_cyclic(|me: &Weak<Self>| {
            blocking.set_ambient(me.clone());
            Self {
                registry: Registry::new(builder.max_threads),
                blocking,
                clock: builder.clock,
                simulated_non_workers: OnceLock::new(),
                stack_bytes: builder.stack_bytes,
                thread_name: builder.thread_name,
                threads_named: AtomicU64::new(0),
                stops: Semaphore::new(0),
                me: me.clone(),
            }
        });
        // Not before it can be found: whoever is asked and finds nothing is never asked again.
        simulated::ask_when_released(&shared.clock, &shared.me);
        shared
    }

    /// A name for the next thread.
    pub(crate) fn name_thread(&self) -> String {
        let number = self.threads_named.fetch_add(1, Relaxed);
        format!("{}-{number}", self.thread_name)
    }
}

/// The runtime as non-worker threads see it: those of the blocking pool, and those that called `enter`.
impl Ambient for Shared {
    fn name(&self) -> &'static str {
        Handle::NAME
    }

    fn scheduler_for_new_task(&self) -> Binding<'_> {
        let shared = self.me.upgrade().expect("whoever calls has a reference");
        Binding::Own(TaskThread::new(shared).erase())
    }

    fn launch(&self, task: Task) -> Result<(), Refused> {
        TaskThread::start(task)
    }

    fn io_driver(&self) -> IoDriver {
        IoDriver::OwnThread
    }

    fn timer_shard(&self) -> Arc<TimerShard> {
        if self.clock.is_simulated() {
            self.simulated_non_worker_timers()
        } else {
            non_worker_timers::shard()
        }
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn blocking_pool(&self) -> &Arc<BlockingPool> {
        &self.blocking
    }

    fn has_thread_per_task(&self) -> bool {
        true
    }

    fn files_inline(&self) -> bool {
        true
    }
}
