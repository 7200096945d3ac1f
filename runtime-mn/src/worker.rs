//! A worker: what runs next, where to look for it, and when to sleep.
#![allow(unsafe_code)]

mod search;

use std::cell::{Cell, RefCell};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{
    Ordering::{Relaxed, SeqCst},
    fence,
};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_deque::Worker as Deque;
use crossbeam_utils::CachePadded;
use runtime_core::context::{self, Ambient, Role};
use runtime_core::park::Parker;
use runtime_core::reactor::Reactor;
use runtime_core::task::{BlockCache, InlineLimit, Ran, SchedulerArc, Task, TaskId};
use runtime_core::time::TimerShard;

use crate::fork_join::JobRef;
use crate::remote::{Remote, add};
use crate::shared::Shared;

/// How long the last worker waits at a time for a waker elsewhere to queue the task that it has marked.
const FOREIGN_WAKER: Duration = Duration::from_millis(1);

/// One worker's own side. Its thread finds it through a thread-local; no other touches it.
pub(crate) struct Worker {
    pub(crate) shared: SchedulerArc<Shared>,
    index: usize,
    /// Newest first.
    spawned: Deque<Task>,
    /// Oldest first.
    woken: Deque<Task>,
    /// Forked closures, newest first.
    pub(crate) jobs: Deque<JobRef>,
    pub(crate) blocks: RefCell<BlockCache>,
    inline: InlineLimit,
    pub(crate) parker: Parker,
    tick: Cell<u32>,
    slot_streak: Cell<u32>,
    /// The reactor or the timers are waking tasks: they go to the back, and are told about together.
    in_driver: Cell<bool>,
    searching: Cell<bool>,
    random: Cell<u64>,
}

/// Something to do.
enum Work {
    Task(Task),
    Job(JobRef),
}

thread_local! {
    static CURRENT: Cell<*const Worker> = const { Cell::new(ptr::null()) };
}

/// A worker that has no runtime yet: its own parts.
pub(crate) struct Parts {
    spawned: Deque<Task>,
    woken: Deque<Task>,
    jobs: Deque<JobRef>,
    parker: Parker,
}

impl Parts {
    /// The parts of a worker: those it keeps, and those the others see.
    pub(crate) fn new(reactor: &Arc<Reactor>) -> (Self, Remote) {
        let parts = Self {
            spawned: Deque::new_lifo(),
            woken: Deque::new_fifo(),
            jobs: Deque::new_lifo(),
            parker: Parker::new(),
        };
        let polling = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (unparker, of_timers) = (parts.parker.unparker(), Arc::clone(&polling));
        let reactor = Arc::downgrade(reactor);
        // A timer that another thread sets must end a wait that would be too long.
        let timers = TimerShard::new(Box::new(move || {
            unparker.unpark();
            fence(SeqCst);
            if of_timers.load(Relaxed)
                && let Some(reactor) = reactor.upgrade()
            {
                reactor.notify();
            }
        }));
        let remote = Remote {
            spawned: parts.spawned.stealer(),
            woken: parts.woken.stealer(),
            jobs: parts.jobs.stealer(),
            timers,
            unparker: parts.parker.unparker(),
            polling,
            slot: CachePadded::default(),
            counters: CachePadded::default(),
        };
        (parts, remote)
    }

    pub(crate) fn into_worker(self, shared: SchedulerArc<Shared>, index: usize) -> Worker {
        Worker {
            shared,
            index,
            spawned: self.spawned,
            woken: self.woken,
            jobs: self.jobs,
            blocks: RefCell::default(),
            inline: InlineLimit::default(),
            parker: self.parker,
            tick: Cell::new(0),
            slot_streak: Cell::new(0),
            in_driver: Cell::new(false),
            searching: Cell::new(false),
            random: Cell::new(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(index as u64 + 1)),
        }
    }
}

/// A panic of the scheduler's own, not of a task, must not leave a runtime that has lost a worker.
struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("a worker of the M:N scheduler panicked outside of any task: this is a bug");
            std::process::abort();
        }
    }
}

impl Worker {
    /// The calling thread's worker, if it is one of this runtime's.
    #[inline]
    pub(crate) fn current<'a>(shared: &SchedulerArc<Shared>) -> Option<&'a Self> {
        let worker = CURRENT.try_with(Cell::get).ok()?;
        // SAFETY: `main` keeps the worker further up on this thread's stack while it is current; the reference that we return does
        // not leave the calls that come from there.
        let worker = unsafe { worker.as_ref() }?;
        SchedulerArc::same(&worker.shared, shared).then_some(worker)
    }

    #[inline]
    pub(crate) fn remote(&self) -> &Remote {
        &self.shared.remotes[self.index]
    }

    /// The thread's whole life.
    pub(crate) fn main(self, ambient: Arc<dyn Ambient>) {
        let _abort = AbortOnUnwind;
        let entered = context::enter(ambient, Role::Worker);
        CURRENT.set(&raw const self);
        while !self.shared.closed.load(Relaxed) {
            if let Some(task) = self.next_task() {
                self.found();
                self.run_from_queue(task);
            } else if let Some(work) = self.search() {
                self.found();
                match work {
                    Work::Task(task) => self.run_from_queue(task),
                    Work::Job(job) => job.execute(),
                }
            } else {
                self.park();
            }
        }
        self.end();
        CURRENT.set(ptr::null());
        drop(entered);
        self.shared.worker_ended();
    }

    // ---- where a task goes

    /// A new task: the newest end of the own deque.
    #[inline]
    pub(crate) fn push_spawned(&self, task: Task) {
        add(&self.remote().counters.spawned, 1);
        self.spawned.push(task);
        self.shared.notify_one();
    }

    /// A woken task: the LIFO slot if a task has woken it, the back of the queue if a socket or a timer has.
    #[inline]
    pub(crate) fn push_woken(&self, task: Task) {
        if self.in_driver.get() {
            // Told about in `drive`, all together.
            self.woken.push(task);
            return;
        }
        let displaced = if self.shared.lifo_slot {
            self.remote().slot.put(task)
        } else {
            Some(task)
        };
        if let Some(task) = displaced {
            self.woken.push(task);
            self.shared.notify_one();
        }
    }

    // ---- running

    fn run_from_queue(&self, task: Task) {
        self.inline.reset();
        self.run(task);
    }

    #[inline]
    fn run(&self, task: Task) {
        let counters = &self.remote().counters;
        add(&counters.polls, 1);
        match task.run() {
            Ran::Finished => add(&counters.finished, 1),
            Ran::Parked => {}
            Ran::Woken(task) | Ran::Yielded(task) => {
                self.woken.push(task);
                self.shared.notify_one();
            }
        }
    }

    /// Runs the newest spawned task inside the current poll, if it is the one that is about to be awaited.
    pub(crate) fn run_inline(&self, id: TaskId) -> bool {
        let Some(newest) = self.spawned.pop() else {
            return false;
        };
        if newest.id() == id && self.inline.admit() && !self.shared.closed.load(Relaxed) {
            self.run(newest);
            return true;
        }
        self.spawned.push(newest);
        false
    }

    // ---- the count of searchers

    /// There is something to run. The last searcher that finds something wakes the next one.
    #[inline]
    fn found(&self) {
        if self.searching.replace(false) && self.shared.idle.stop_searching() {
            self.shared.notify_one();
        }
    }

    // ---- sockets and timers

    fn drive_without_waiting(&self) {
        if self.shared.reactor.has_sources()
            && let Some(_token) = self.shared.poller.try_lock()
        {
            self.drive(Some(Duration::ZERO));
        }
        self.fire_due();
    }

    /// Asks the reactor. The caller has the poller's token.
    fn drive(&self, timeout: Option<Duration>) {
        add(&self.remote().counters.io_polls, 1);
        self.in_driver.set(true);
        let polled = self.shared.reactor.poll(timeout);
        self.in_driver.set(false);
        polled.expect("the reactor's own descriptors stay valid");
        self.tell_of_woken();
    }

    fn fire_due(&self) {
        let timers = &self.remote().timers;
        if timers.next_deadline().is_some() {
            self.fire(timers);
        }
    }

    fn fire(&self, timers: &TimerShard) {
        self.in_driver.set(true);
        let fired = timers.fire(Instant::now());
        self.in_driver.set(false);
        if fired > 0 {
            self.tell_of_woken();
        }
    }

    /// One woken task is this worker's to run; a second is worth waking another worker for.
    fn tell_of_woken(&self) {
        if self.woken.len() > 1 {
            self.shared.notify_one();
        }
    }

    // ---- sleeping

    /// Nothing to do: waits for a token, a socket or a timer. See the README of `idle`.
    fn park(&self) {
        let shared = &self.shared;
        let timers = &self.remote().timers;
        let deadline = timers.prepare_park();
        let last_look = shared.idle.sleep(self.index, self.searching.replace(false));
        if !(shared.closed.load(SeqCst) || last_look && self.anything_queued()) {
            add(&self.remote().counters.parks, 1);
            match shared.poller.try_lock() {
                Some(_token) => self.wait_in_reactor(deadline),
                None => {
                    self.parker.park(deadline);
                }
            }
        }
        timers.finish_park();
        // Taken off by a teller, this worker counts as searching already. If it was not the teller's token that ended the wait,
        // the token stays behind and ends the next one at once, which does no harm.
        self.searching.set(!shared.idle.cancel_sleep(self.index));
        self.fire_due();
    }

    /// The last look, after this worker counts as sleeping.
    fn anything_queued(&self) -> bool {
        self.shared.has_injected() || self.shared.remotes.iter().any(Remote::has_work)
    }

    fn wait_in_reactor(&self, deadline: Option<Instant>) {
        let polling = &self.remote().polling;
        // SeqCst: announced before the token is looked for; pairs with `Remote::unpark`, which does it the other way round.
        polling.store(true, SeqCst);
        fence(SeqCst);
        let now = Instant::now();
        if !self.parker.park(Some(now)) {
            self.drive(deadline.map(|at| at.saturating_duration_since(now)));
        }
        polling.store(false, Relaxed);
    }

    // ---- the end

    /// Cancels what this worker has queued; the last worker, all that is left.
    fn end(&self) {
        self.found();
        while let Some(task) = self
            .remote()
            .slot
            .take()
            .or_else(|| self.spawned.pop())
            .or_else(|| self.woken.pop())
        {
            self.shared.cancel(task);
        }
        // Whoever waits for closures waits for all of them.
        while let Some(job) = self.jobs.pop().or_else(|| self.steal_job()) {
            job.execute();
        }
        self.shared.sweep();
        if self.shared.is_last_to_end() {
            // A task may be woken, or marked by a waker elsewhere, while another one is dropped: until a walk finds none.
            while self.shared.sweep() > 0 {
                self.parker.park(Some(Instant::now() + FOREIGN_WAKER));
            }
        }
        self.blocks
            .borrow_mut()
            .flush(&self.shared.arena, &self.shared);
    }
}
