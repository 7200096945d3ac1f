//! What workers, handles and tasks share: where a task goes, and who is told.
#![allow(unsafe_code)]

use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
    fence,
};

use crossbeam_deque::{Injector, Steal};
use crossbeam_utils::CachePadded;
use parking_lot::{Condvar, Mutex};
use runtime_core::blocking::BlockingPool;
use runtime_core::context::Refused;
use runtime_core::reactor::Reactor;
use runtime_core::sync::Semaphore;
use runtime_core::task::{Arena, Schedule, SchedulerArc, SchedulerRef, Task, TaskId};

use crate::fork_join::JobRef;
use crate::idle::Idle;
use crate::remote::Remote;
use crate::worker::Worker;

pub(crate) struct Shared {
    pub(crate) arena: Arena,
    pub(crate) injector: CachePadded<Injector<Task>>,
    /// Closures that threads which are no workers have forked.
    pub(crate) job_injector: CachePadded<Injector<JobRef>>,
    pub(crate) remotes: Box<[Remote]>,
    pub(crate) idle: CachePadded<Idle>,
    pub(crate) reactor: Arc<Reactor>,
    /// The poller's token: whoever holds it may call `reactor.poll`. Never held while a task is polled.
    pub(crate) poller: CachePadded<Mutex<()>>,
    pub(crate) blocking: Arc<BlockingPool>,
    pub(crate) closed: AtomicBool,
    /// A permit for each `stop` that has ended no `run_forever` yet.
    pub(crate) stops: Semaphore,
    pub(crate) inline_joins: bool,
    pub(crate) lifo_slot: bool,
    pub(crate) injector_tick: u32,
    pub(crate) counters: SharedCounters,
    /// Workers that have not begun to end.
    not_ending: AtomicUsize,
    /// Workers that have not ended.
    running: Mutex<usize>,
    worker_ended: Condvar,
}

/// Written by threads that are no workers, and rarely.
#[derive(Default)]
pub(crate) struct SharedCounters {
    pub(crate) spawned: AtomicU64,
    pub(crate) cancelled: AtomicU64,
    pub(crate) unparks: AtomicU64,
}

impl Shared {
    pub(crate) fn new(
        remotes: Box<[Remote]>,
        reactor: Arc<Reactor>,
        blocking: Arc<BlockingPool>,
        builder: &crate::Builder,
    ) -> Self {
        Self {
            arena: Arena::default(),
            injector: CachePadded::default(),
            job_injector: CachePadded::default(),
            idle: CachePadded::new(Idle::new(remotes.len())),
            not_ending: AtomicUsize::new(remotes.len()),
            running: Mutex::new(remotes.len()),
            remotes,
            reactor,
            poller: CachePadded::default(),
            blocking,
            closed: AtomicBool::new(false),
            stops: Semaphore::new(0),
            inline_joins: builder.inline_joins,
            lifo_slot: builder.lifo_slot,
            injector_tick: builder.injector_tick,
            counters: SharedCounters::default(),
            worker_ended: Condvar::new(),
        }
    }

    /// Something was queued that another worker could take.
    #[inline]
    pub(crate) fn notify_one(&self) {
        if let Some(worker) = self.idle.notify_one() {
            self.unpark(worker);
        }
    }

    #[cold]
    fn unpark(&self, worker: usize) {
        self.counters.unparks.fetch_add(1, Relaxed);
        self.remotes[worker].unpark(&self.reactor);
    }

    /// Queues a task from a thread that is no worker.
    fn inject(&self, task: Task) {
        self.injector.push(task);
        self.notify_one();
    }

    /// Queues a new task, unless the runtime takes none any more.
    pub(crate) fn launch(this: &SchedulerArc<Self>, task: Task) -> Result<(), Refused> {
        if this.closed.load(Relaxed) {
            return Err(Refused { task, error: None });
        }
        if let Some(worker) = Worker::current(this) {
            worker.push_spawned(task);
            return Ok(());
        }
        this.counters.spawned.fetch_add(1, Relaxed);
        this.injector.push(task);
        // Either a closing sweep sees the task, or we see that there was one; pairs with `close`.
        fence(SeqCst);
        if this.closed.load(Relaxed) {
            this.cancel_injected();
        } else {
            this.notify_one();
        }
        Ok(())
    }

    pub(crate) fn has_injected(&self) -> bool {
        !self.injector.is_empty() || !self.job_injector.is_empty()
    }

    /// Begins the shutdown: spawns are refused, and workers end after their current poll.
    pub(crate) fn close(&self) {
        self.closed.store(true, SeqCst);
        fence(SeqCst);
        for worker in &self.remotes {
            worker.unpark(&self.reactor);
        }
    }

    pub(crate) fn cancel(&self, task: Task) {
        self.counters.cancelled.fetch_add(1, Relaxed);
        task.cancel();
    }

    pub(crate) fn cancel_injected(&self) {
        loop {
            match self.injector.steal() {
                Steal::Success(task) => self.cancel(task),
                Steal::Retry => {}
                Steal::Empty => break,
            }
        }
    }

    /// Cancels every task that is in a queue or idle. Returns how many were alive: those of them that are being polled, or are on
    /// their way into a queue, still are.
    pub(crate) fn sweep(&self) -> usize {
        self.cancel_injected();
        for worker in &self.remotes {
            for queue in [&worker.spawned, &worker.woken] {
                loop {
                    match queue.steal() {
                        Steal::Success(task) => self.cancel(task),
                        Steal::Retry => {}
                        Steal::Empty => break,
                    }
                }
            }
            if let Some(task) = worker.slot.take() {
                self.cancel(task);
            }
        }
        self.arena.abort_all(|task| self.cancel(task))
    }

    /// A worker begins to end. True for the last one.
    pub(crate) fn is_last_to_end(&self) -> bool {
        self.not_ending.fetch_sub(1, SeqCst) == 1
    }

    /// A worker's last act.
    pub(crate) fn worker_ended(&self) {
        *self.running.lock() -= 1;
        self.worker_ended.notify_all();
    }

    /// Waits until every worker has ended, but not past `deadline` (`None`: for ever). True if they have.
    pub(crate) fn wait_for_workers(&self, deadline: Option<std::time::Instant>) -> bool {
        let mut running = self.running.lock();
        while *running > 0 {
            match deadline {
                None => self.worker_ended.wait(&mut running),
                Some(deadline) => {
                    if self
                        .worker_ended
                        .wait_until(&mut running, deadline)
                        .timed_out()
                    {
                        return *running == 0;
                    }
                }
            }
        }
        true
    }
}

// SAFETY: memory is from the arena, or from a cache over it.
unsafe impl Schedule for Shared {
    #[inline]
    fn schedule(this: &SchedulerArc<Self>, task: Task) {
        match Worker::current(this) {
            Some(worker) => worker.push_woken(task),
            None => this.inject(task),
        }
    }

    #[inline]
    fn run_inline(this: &SchedulerArc<Self>, id: TaskId) -> bool {
        this.inline_joins && Worker::current(this).is_some_and(|worker| worker.run_inline(id))
    }

    #[inline]
    fn allocate(this: &SchedulerArc<Self>, layout: Layout) -> (NonNull<u8>, SchedulerRef) {
        match Worker::current(this) {
            Some(worker) => {
                let mut blocks = worker.blocks.borrow_mut();
                blocks.allocate(&this.arena, this, layout)
            }
            None => (this.arena.allocate(layout), this.erase()),
        }
    }

    #[inline]
    unsafe fn deallocate(this: SchedulerArc<Self>, block: NonNull<u8>, layout: Layout) {
        let Some(worker) = Worker::current(&this) else {
            // SAFETY: by this function's contract.
            return unsafe { this.arena.deallocate(block, layout) };
        };
        // By way of the worker's own reference, as the task's is given away.
        let arena = &worker.shared.arena;
        let mut blocks = worker.blocks.borrow_mut();
        // SAFETY: by this function's contract.
        unsafe { blocks.deallocate(arena, this, block, layout) };
    }
}
