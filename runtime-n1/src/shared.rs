//! The part of a loop that other threads see: the queue for tasks that they wake or spawn.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use runtime_kernel::blocking::BlockingPool;
use runtime_kernel::context::Refused;
use runtime_kernel::primitives::real_locks::Mutex;
use runtime_kernel::reactor::Reactor;
use runtime_kernel::task::{Arena, Task};
use runtime_kernel::time::{Clock, TimerShard};
use runtime_kernel::trace::{self, Fact, Queue, WorkerId};

use crate::sleep::Sleep;

/// What the loop, its handles and its tasks share.
pub(crate) struct Shared {
    pub(crate) arena: Arena,
    pub(crate) reactor: Arc<Reactor>,
    pub(crate) timers: Arc<TimerShard>,
    pub(crate) blocking: Arc<BlockingPool>,
    pub(crate) clock: Clock,
    remote: Mutex<RemoteQueue>,
    pub(crate) sleep: Sleep,
    pub(crate) counters: Counters,
    /// The loop's number in traces.
    pub(crate) worker: WorkerId,
}

#[derive(Default)]
struct RemoteQueue {
    queue: VecDeque<Task>,
    /// No more spawns. Wakes are still accepted until the last task is gone.
    closed: bool,
}

/// Only the loop writes them; any thread may read them.
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

    /// Queues a task from outside the loop.
    pub(crate) fn push_remote(&self, task: Task) {
        trace::note(Fact::Queued(task.id(), Queue::Inbox, self.worker));
        self.remote.lock().queue.push_back(task);
        self.announce();
    }

    /// Queues a new task from outside the loop, unless the loop no longer accepts any.
    pub(crate) fn launch_remote(&self, task: Task) -> Result<(), Refused> {
        let mut remote = self.remote.lock();
        if remote.closed {
            return Err(Refused { task, error: None });
        }
        trace::note(Fact::Queued(task.id(), Queue::Inbox, self.worker));
        remote.queue.push_back(task);
        drop(remote);
        self.announce();
        Ok(())
    }

    fn announce(&self) {
        if self.sleep.announce() {
            trace::note(Fact::Unparks(self.worker));
            self.reactor.notify();
        }
    }

    /// Moves the tasks that other threads have queued to `ready`.
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
