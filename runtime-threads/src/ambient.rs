//! The runtime as seen by non-worker threads: those of the blocking pool, and those that called `enter`.

use std::sync::Arc;

use runtime_kernel::blocking::BlockingPool;
use runtime_kernel::context::{Ambient, Binding, IoDriver, Refused};
use runtime_kernel::task::Task;
use runtime_kernel::time::{Clock, TimerShard, helper_shard};

use crate::shared::{NAME, Shared};
use crate::task_thread::TaskThread;

impl Ambient for Shared {
    fn name(&self) -> &'static str {
        NAME
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
            helper_shard()
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

    fn has_ended(&self) -> bool {
        self.thread_list.is_closed()
    }

    fn files_inline(&self) -> bool {
        true
    }
}
