//! The side of a loop that other threads see: where a task goes that they wake or spawn.
#![allow(unsafe_code)]

use std::alloc::Layout;
use std::collections::VecDeque;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;
use runtime_kernel::blocking::BlockingPool;
use runtime_kernel::context::Refused;
use runtime_kernel::reactor::Reactor;
use runtime_kernel::task::{Arena, Schedule, SchedulerArc, SchedulerRef, Task};
use runtime_kernel::time::{Clock, TimerShard};
use runtime_kernel::trace::{self, Fact, Queue, WorkerId};

use crate::local::Local;
use crate::sleep::Sleep;

/// What the loop, its handles and its tasks share.
pub(crate) struct Shared {
    pub(crate) arena: Arena,
    pub(crate) reactor: Arc<Reactor>,
    pub(crate) timers: Arc<TimerShard>,
    pub(crate) blocking: Arc<BlockingPool>,
    pub(crate) clock: Clock,
    remote: Mutex<Remote>,
    pub(crate) sleep: Sleep,
    pub(crate) counters: Counters,
    /// By what traces know the loop.
    pub(crate) worker: WorkerId,
}

#[derive(Default)]
struct Remote {
    queue: VecDeque<Task>,
    /// No more spawns. Wakes still come in, until the last task is gone.
    closed: bool,
}

/// Written by the loop only; read by anyone.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) polls: AtomicU64,
    pub(crate) parks: AtomicU64,
    pub(crate) io_polls: AtomicU64,
}

impl Shared {
    pub(crate) fn new(
        reactor: Arc<Reactor>,
        timers: Arc<TimerShard>,
        blocking: Arc<BlockingPool>,
        clock: Clock,
    ) -> Self {
        Self {
            arena: Arena::default(),
            reactor,
            timers,
            blocking,
            clock,
            remote: Mutex::default(),
            sleep: Sleep::new(),
            counters: Counters::default(),
            worker: WorkerId::new(trace::next_runtime(), 0),
        }
    }

    /// Queues a task from outside of the loop.
    fn push_remote(&self, task: Task) {
        trace::note(Fact::Queued(task.id(), Queue::Inbox, self.worker));
        self.remote.lock().queue.push_back(task);
        self.announce();
    }

    /// Queues a new task, unless the loop takes none any more.
    pub(crate) fn launch(this: &SchedulerArc<Self>, task: Task) -> Result<(), Refused> {
        if let Some(local) = Local::current(this) {
            return local.launch(task);
        }
        let mut remote = this.remote.lock();
        if remote.closed {
            return Err(Refused { task, error: None });
        }
        trace::note(Fact::Queued(task.id(), Queue::Inbox, this.worker));
        remote.queue.push_back(task);
        drop(remote);
        this.announce();
        Ok(())
    }

    fn announce(&self) {
        if self.sleep.announce() {
            trace::note(Fact::Unparks(self.worker));
            self.reactor.notify();
        }
    }

    /// Moves what other threads queued to `ready`.
    pub(crate) fn take_remote(&self, ready: &mut VecDeque<Task>) {
        if self.sleep.is_pending() {
            let mut remote = self.remote.lock();
            self.sleep.take_pending();
            ready.append(&mut remote.queue);
        }
    }

    pub(crate) fn close(&self) {
        self.remote.lock().closed = true;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.remote.lock().closed
    }

    /// Ends the loop's run, or the next one.
    pub(crate) fn stop(&self) {
        if self.sleep.stop() {
            self.reactor.notify();
        }
    }
}

// SAFETY: memory is from the arena, or from a cache over it.
unsafe impl Schedule for Shared {
    fn schedule(this: &SchedulerArc<Self>, task: Task) {
        match Local::current(this) {
            Some(local) => local.push(task),
            None => this.push_remote(task),
        }
    }

    fn allocate(this: &SchedulerArc<Self>, layout: Layout) -> (NonNull<u8>, SchedulerRef) {
        match Local::current(this) {
            Some(local) => {
                let mut blocks = local.blocks.borrow_mut();
                blocks.allocate(&this.arena, this, layout)
            }
            None => (this.arena.allocate(layout), this.erase()),
        }
    }

    unsafe fn deallocate(this: SchedulerArc<Self>, block: NonNull<u8>, layout: Layout) {
        let Some(local) = Local::current(&this) else {
            // SAFETY: by this function's contract.
            return unsafe { this.arena.deallocate(block, layout) };
        };
        // By way of the loop's own reference, as the task's is given away.
        let arena = &local.shared.arena;
        let mut blocks = local.blocks.borrow_mut();
        // SAFETY: by this function's contract.
        unsafe { blocks.deallocate(arena, this, block, layout) };
    }
}
