//! A worker: what runs next, where to look for it, and when to sleep.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{
    Ordering::{Relaxed, SeqCst},
    fence,
};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_deque::{Steal, Worker as Deque};
use crossbeam_utils::CachePadded;
use runtime_core::context::{self, Ambient, Role};
use runtime_core::park::Parker;
use runtime_core::reactor::Reactor;
use runtime_core::task::{BlockCache, InlineLimit, Ran, SchedulerArc, Task, TaskId};
use runtime_core::time::TimerShard;

use crate::fork_join::JobRef;
use crate::remote::{Remote, add};
use crate::shared::Shared;

/// How often in a row the LIFO slot comes first. More, and two tasks that wake each other keep all others from their worker.
const SLOT_STREAK: u32 = 16;
/// Every so many ticks the oldest woken task comes before the newest spawned one.
const WOKEN_TICK: u32 = 8;
/// Every so many ticks the oldest spawned task comes before all others.
const OLDEST_TICK: u32 = 64;
/// The most tasks that a thief takes at once.
const STEAL_LIMIT: usize = 32;
/// How many times a thief spins before it takes a task out of a LIFO slot: some microseconds.
const SLOT_PATIENCE: u32 = 128;
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

    // ---- what runs next

    /// The next task of this worker's own, or an injected one.
    fn next_task(&self) -> Option<Task> {
        let tick = self.tick.get().wrapping_add(1);
        self.tick.set(tick);
        if tick.is_multiple_of(self.shared.injector_tick) {
            self.drive_without_waiting();
            if let Some(task) = self.take_injected() {
                return Some(task);
            }
        }
        if tick.is_multiple_of(OLDEST_TICK)
            && let Steal::Success(task) = self.remote().spawned.steal()
        {
            return Some(task);
        }
        if tick.is_multiple_of(WOKEN_TICK)
            && let Some(task) = self.woken.pop()
        {
            return Some(task);
        }
        self.take_slot()
            .or_else(|| self.spawned.pop())
            .or_else(|| self.woken.pop())
            .or_else(|| self.take_injected())
    }

    /// The task in the LIFO slot, unless it is the turn of others.
    #[inline]
    fn take_slot(&self) -> Option<Task> {
        let Some(task) = self.remote().slot.take() else {
            self.slot_streak.set(0);
            return None;
        };
        let streak = self.slot_streak.get() + 1;
        if streak <= SLOT_STREAK {
            self.slot_streak.set(streak);
            return Some(task);
        }
        self.slot_streak.set(0);
        self.woken.push(task);
        self.woken.pop()
    }

    /// An injected task; more of them come along into the own queue.
    fn take_injected(&self) -> Option<Task> {
        let injector = &self.shared.injector;
        if injector.is_empty() {
            return None;
        }
        let task = retry(|| injector.steal_batch_with_limit_and_pop(&self.woken, STEAL_LIMIT))?;
        if !self.woken.is_empty() {
            self.shared.notify_one();
        }
        Some(task)
    }

    // ---- searching

    /// Looks at everybody's queues, if not enough workers do so already.
    ///
    /// 1. What other threads injected, tasks and closures.
    /// 2. Another worker's woken, spawned, or forked.
    /// 3. Another worker's timers that are due.
    /// 4. Another worker's LIFO slot.
    fn search(&self) -> Option<Work> {
        if !self.searching.get() {
            if !self.shared.idle.start_searching() {
                return None;
            }
            self.searching.set(true);
        }
        let victims = self.victims();
        self.take_injected()
            .map(Work::Task)
            .or_else(|| retry(|| self.shared.job_injector.steal()).map(Work::Job))
            .or_else(|| victims.clone().find_map(|victim| self.steal_from(victim)))
            .or_else(|| self.fire_timers_of(victims.clone()).map(Work::Task))
            .or_else(|| {
                victims
                    .clone()
                    .find_map(|victim| self.steal_slot_of(victim))
            })
    }

    /// The other workers, from a random one on.
    fn victims(&self) -> impl Iterator<Item = &Remote> + Clone {
        let remotes = &self.shared.remotes;
        // xorshift64
        let mut random = self.random.get();
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        self.random.set(random);
        let start = (random >> 32) as usize % remotes.len();
        (0..remotes.len())
            .map(move |offset| (start + offset) % remotes.len())
            .filter(|victim| *victim != self.index)
            .map(|victim| &remotes[victim])
    }

    fn steal_from(&self, victim: &Remote) -> Option<Work> {
        self.steal_batch(&victim.woken, &self.woken)
            .or_else(|| self.steal_batch(&victim.spawned, &self.spawned))
            .map(Work::Task)
            .or_else(|| retry(|| victim.jobs.steal()).map(Work::Job))
    }

    fn steal_batch(&self, from: &crossbeam_deque::Stealer<Task>, to: &Deque<Task>) -> Option<Task> {
        if from.is_empty() {
            return None;
        }
        let before = to.len();
        let task = retry(|| from.steal_batch_with_limit_and_pop(to, STEAL_LIMIT))?;
        add(
            &self.remote().counters.tasks_stolen,
            (to.len() - before + 1) as u64,
        );
        Some(task)
    }

    fn fire_timers_of<'a>(&self, victims: impl Iterator<Item = &'a Remote>) -> Option<Task> {
        for victim in victims {
            if victim.timers.next_deadline().is_some() {
                self.fire(&victim.timers);
            }
        }
        self.woken.pop()
    }

    /// Takes the task that stands in a LIFO slot, if its worker is stuck in a poll. A worker that goes on polling is about to
    /// run it, as a rule, and two tasks that wake each other are best left where they are.
    fn steal_slot_of(&self, victim: &Remote) -> Option<Work> {
        if !victim.slot.is_filled() {
            return None;
        }
        let polls = victim.counters.polls.load(Relaxed);
        for _ in 0..SLOT_PATIENCE {
            std::hint::spin_loop();
        }
        if victim.counters.polls.load(Relaxed) != polls {
            return None;
        }
        let task = victim.slot.take()?;
        add(&self.remote().counters.tasks_stolen, 1);
        Some(Work::Task(task))
    }

    /// Takes one forked closure of anybody's, for a worker that waits for one which was stolen from it.
    pub(crate) fn steal_job(&self) -> Option<JobRef> {
        retry(|| self.shared.job_injector.steal()).or_else(|| {
            self.victims()
                .find_map(|victim| retry(|| victim.jobs.steal()))
        })
    }

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
        shared.idle.sleep(self.index, self.searching.replace(false));
        if !self.must_stay_awake() {
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
    fn must_stay_awake(&self) -> bool {
        self.shared.closed.load(SeqCst)
            || self.shared.has_injected()
            || self.shared.remotes.iter().any(Remote::has_work)
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

fn retry<T>(mut steal: impl FnMut() -> Steal<T>) -> Option<T> {
    loop {
        match steal() {
            Steal::Success(stolen) => return Some(stolen),
            Steal::Empty => return None,
            Steal::Retry => std::hint::spin_loop(),
        }
    }
}
