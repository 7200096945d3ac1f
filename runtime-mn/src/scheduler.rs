//! A scheduler as its tasks see it: the shared state, and the policy.
#![allow(unsafe_code)]

use std::alloc::Layout;
use std::io;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::Arc;

use runtime_core::blocking::BlockingPool;
use runtime_core::context::{Ambient, Binding, IoDriver, Refused};
use runtime_core::primitives::atomic::Ordering::Relaxed;
use runtime_core::primitives::thread;
use runtime_core::task::{Schedule, SchedulerArc, SchedulerRef, Task};
use runtime_core::time::{Clock, TimerShard};

use crate::ask::dispose;
use crate::local::{Local, Parts};
use crate::policy::{Policy, WokenBy};
use crate::shared::{Shared, Start};
use crate::worker::Worker;

pub(crate) struct Scheduler<P: Policy> {
    policy: ManuallyDrop<P>,
    pub(crate) shared: Arc<Shared>,
}

impl<P: Policy> Drop for Scheduler<P> {
    fn drop(&mut self) {
        // SAFETY: it is not used again.
        let policy = unsafe { ManuallyDrop::take(&mut self.policy) };
        // This may be a worker's thread, which must not be unwound by the policy's destructor.
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(policy)));
        dropped.unwrap_or_else(dispose);
    }
}

impl<P: Policy> Scheduler<P> {
    pub(crate) fn new(policy: P, shared: Arc<Shared>) -> Self {
        Self {
            policy: ManuallyDrop::new(policy),
            shared,
        }
    }

    #[inline]
    pub(crate) fn policy(&self) -> &P {
        &self.policy
    }

    /// Queues a new task, unless the runtime takes none any more.
    fn launch(&self, task: Task) -> Result<(), Refused> {
        let shared = &self.shared;
        if shared.closed.load(Relaxed) {
            return Err(Refused { task, error: None });
        }
        if let Some(local) = Local::current(shared) {
            crate::remote::add(&local.remote().counters.spawned, 1);
            local.put_spawned(self.policy(), task);
            return Ok(());
        }
        shared.counters.spawned.fetch_add(1, Relaxed);
        shared.injector.push(task);
        // Either a closing sweep sees the task, or we see that there was one; see `Closed`.
        if shared.closed.since_push() {
            shared.cancel_injected();
        } else {
            shared.notify_one();
        }
        Ok(())
    }
}

// SAFETY: memory is from the arena, or from a cache over it.
unsafe impl<P: Policy> Schedule for Scheduler<P> {
    #[inline]
    fn schedule(this: &SchedulerArc<Self>, task: Task) {
        match Local::current(&this.shared) {
            Some(local) => local.put_woken(this.policy(), task, WokenBy::Task),
            None => this.shared.inject(task),
        }
    }

    #[inline]
    fn allocate(this: &SchedulerArc<Self>, layout: Layout) -> (NonNull<u8>, SchedulerRef) {
        let arena = &this.shared.arena;
        match Local::current(&this.shared) {
            Some(local) => local.blocks.borrow_mut().allocate(arena, this, layout),
            None => (arena.allocate(layout), this.erase()),
        }
    }

    #[inline]
    unsafe fn deallocate(this: SchedulerArc<Self>, block: NonNull<u8>, layout: Layout) {
        let Some(local) = Local::current(&this.shared) else {
            // SAFETY: by this function's contract.
            return unsafe { this.shared.arena.deallocate(block, layout) };
        };
        // By way of the worker's own reference, as the task's is given away.
        let arena = &local.shared.arena;
        let mut blocks = local.blocks.borrow_mut();
        // SAFETY: by this function's contract.
        unsafe { blocks.deallocate(arena, this, block, layout) };
    }
}

/// A runtime as the code on its threads sees it.
pub(crate) struct MnAmbient<P: Policy>(pub(crate) SchedulerArc<Scheduler<P>>);

impl<P: Policy> Ambient for MnAmbient<P> {
    fn name(&self) -> &'static str {
        "mn"
    }

    fn scheduler_for_new_task(&self) -> Binding<'_> {
        Binding::Shared(self.0.erased())
    }

    fn launch(&self, task: Task) -> Result<(), Refused> {
        self.0.launch(task)
    }

    fn io_driver(&self) -> IoDriver {
        IoDriver::Reactor(Arc::clone(&self.0.shared.reactor))
    }

    fn timer_shard(&self) -> Arc<TimerShard> {
        let shared = &self.0.shared;
        let remote = Local::current(shared).map_or_else(|| shared.any_worker(), Local::remote);
        Arc::clone(&remote.timers)
    }

    fn clock(&self) -> &Clock {
        &self.0.shared.clock
    }

    fn blocking_pool(&self) -> &Arc<BlockingPool> {
        &self.0.shared.blocking
    }
}

impl<P: Policy> Start for MnAmbient<P> {
    fn start_worker(self: Arc<Self>, parts: Parts, index: usize) -> io::Result<()> {
        let shared = Arc::clone(&self.0.shared);
        let name = format!("{}-{index}", shared.thread_name);
        let worker = move || {
            let local = parts.into_local(shared, index);
            Worker::new(self.0.clone(), local).main(self);
        };
        thread::Builder::new().name(name).spawn(worker).map(drop)
    }
}
