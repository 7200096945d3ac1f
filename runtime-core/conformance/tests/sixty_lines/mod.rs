//! The first scheduler to write: one thread and one queue, in sixty lines of safe code. It runs programs, but does not
//! keep the whole contract.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, Weak};
use std::time::Instant;

use runtime_core::blocking::{BlockingConfig, BlockingPool};
use runtime_core::context::{self, Ambient, Binding, IoDriver, Refused, Role};
use runtime_core::reactor::{Reactor, ReactorKind};
use runtime_core::task::{Ran, SafeSchedule, SchedulerArc, Task};
use runtime_core::time::TimerShard;

// ANCHOR: scheduler
/// Where does a woken task go? To the end of the queue. Who must be woken? The loop, which may wait in the reactor.
pub(crate) struct Queue {
    due: Mutex<VecDeque<Task>>,
    reactor: Arc<Reactor>,
}

impl SafeSchedule for Queue {
    fn schedule(this: &SchedulerArc<Self>, task: Task) {
        this.due.lock().unwrap().push_back(task);
        this.reactor.notify();
    }
}

/// The runtime, as its tasks, sockets and timers see it.
pub(crate) struct SixtyLines {
    queue: SchedulerArc<Queue>,
    timers: Arc<TimerShard>,
    blocking: Arc<BlockingPool>,
    ends: AtomicBool,
}

impl Ambient for SixtyLines {
    fn name(&self) -> &'static str {
        "sixty-lines"
    }
    fn scheduler_for_new_task(&self) -> Binding<'_> {
        Binding::Shared(self.queue.erased())
    }
    fn launch(&self, task: Task) -> Result<(), Refused> {
        SafeSchedule::schedule(&self.queue, task);
        Ok(())
    }
    fn io_driver(&self) -> IoDriver {
        IoDriver::Reactor(Arc::clone(&self.queue.reactor))
    }
    fn timer_shard(&self) -> Arc<TimerShard> {
        Arc::clone(&self.timers)
    }
    fn blocking_pool(&self) -> &Arc<BlockingPool> {
        &self.blocking
    }
}

impl SixtyLines {
    /// A runtime that no thread [runs](SixtyLines::run) yet.
    pub(crate) fn new() -> Arc<Self> {
        let reactor = Reactor::new(ReactorKind::default()).expect("a reactor");
        let (due, notified) = (Mutex::default(), Arc::clone(&reactor));
        let this = Arc::new(Self {
            queue: SchedulerArc::new(Queue { due, reactor }),
            timers: TimerShard::new(Box::new(move || notified.notify())),
            blocking: BlockingPool::new(BlockingConfig::default()),
            ends: AtomicBool::new(false),
        });
        let ambient: Weak<dyn Ambient> = Arc::downgrade(&this) as Weak<dyn Ambient>;
        this.blocking.set_ambient(ambient);
        this
    }

    /// The loop: run what is due, wait for sockets and timers, and repeat.
    pub(crate) fn run(self: Arc<Self>) {
        let _entered = context::enter(Arc::clone(&self) as Arc<dyn Ambient>, Role::Worker);
        while !self.ends.load(SeqCst) {
            // What is queued meanwhile waits for the next iteration, so that sockets and timers get their turn.
            let due = std::mem::take(&mut *self.queue.due.lock().unwrap());
            for task in due {
                if let Ran::Woken(task) | Ran::Yielded(task) = task.run() {
                    SafeSchedule::schedule(&self.queue, task);
                }
            }
            let deadline = self.timers.prepare_park();
            let timeout = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            self.queue.reactor.poll(timeout).expect("the reactor");
            self.timers.finish_park();
            self.timers.fire(Instant::now());
        }
    }

    /// Ends the loop once it has nothing to run.
    pub(crate) fn end(&self) {
        self.ends.store(true, SeqCst);
        self.queue.reactor.notify();
    }
}
// ANCHOR_END: scheduler
