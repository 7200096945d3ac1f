//! What a worker's own thread has: its queues' inner ends, and small state that nobody else sees.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use runtime_core::park::Parker;
use runtime_core::primitives::atomic::{
    AtomicBool,
    Ordering::{Relaxed, SeqCst},
    fence,
};
use runtime_core::primitives::{MutexGuard, spin_loop, thread_local};
use runtime_core::reactor::Reactor;
use runtime_core::task::{BlockCache, Ran, SchedulerArc, Task};
use runtime_core::time::TimerShard;

use crate::counted::Pool;
use crate::deque::Worker as Deque;
use crate::fork_join::{Closures, Mark};
use crate::knobs::LifoSlot;
use crate::policy::{Place, Policy, WokenBy, WorkerView};
use crate::remote::{Remote, add};
use crate::scheduler::Scheduler;
use crate::shared::Shared;
use crate::sockets::Help;
use crate::wake_throttling::WakeThrottling;

/// How often a worker that goes to sleep asks again for the poller's token, which somebody has who does not wait: some
/// microseconds.
const TOKEN_PATIENCE: u32 = if cfg!(lab_shuttle) { 1 } else { 64 };

/// How many times in a row a busy worker may leave out the sockets when it is time to ask for them.
const LEFT_OUT_MAX: usize = 3;

/// One worker's own side. Its thread finds it through a thread-local; no other touches it.
pub(crate) struct Local {
    pub(crate) shared: Arc<Shared>,
    pub(crate) index: usize,
    /// Newest first.
    pub(crate) spawned: Deque<Task>,
    /// Oldest first.
    pub(crate) woken: Deque<Task>,
    /// Forked closures.
    pub(crate) closures: Closures,
    pub(crate) blocks: RefCell<BlockCache>,
    pub(crate) parker: Parker,
    pub(crate) handles: Pool,
    pub(crate) tick: Cell<u32>,
    /// Ticks until this worker asks for sockets and timers.
    pub(crate) until_poll: Cell<u32>,
    /// How many more times it then leaves out the sockets: what they woke before is not done yet.
    sockets_left_out: Cell<u32>,
    /// The reactor had as much to report as it does at once, and was not asked again.
    more_sockets: Cell<bool>,
    /// Ticks until it looks at the injector first.
    pub(crate) until_injected: Cell<u32>,
    pub(crate) slot_streak: Cell<u32>,
    /// The reactor or the timers are waking tasks: they are told about together.
    in_driver: Cell<bool>,
    /// The policy is being asked.
    pub(crate) is_asking: Cell<bool>,
    pub(crate) throttling: WakeThrottling,
    pub(crate) searching: Cell<bool>,
    pub(crate) random: Cell<u64>,
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Local")
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

thread_local! {
    static CURRENT: Cell<*const Local> = const { Cell::new(ptr::null()) };
    /// The runtime whose worker has left this thread for a while; for comparing only.
    static AWAY: Cell<*const Shared> = const { Cell::new(ptr::null()) };
}

/// A worker that has no thread yet: its own parts.
pub(crate) struct Parts {
    spawned: Deque<Task>,
    woken: Deque<Task>,
    closures: Closures,
    parker: Parker,
}

impl Parts {
    /// The parts of a worker: those it keeps, and those the others see.
    pub(crate) fn new(reactor: &Arc<Reactor>) -> (Self, Remote) {
        let parts = Self {
            spawned: Deque::new_lifo(),
            woken: Deque::new_fifo(),
            closures: Closures::new(),
            parker: Parker::new(),
        };
        let polling = Arc::new(AtomicBool::new(false));
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
            jobs: parts.closures.stealer(),
            timers,
            unparker: parts.parker.unparker(),
            polling,
            slot: CachePadded::default(),
            counters: CachePadded::default(),
            observed: CachePadded::default(),
        };
        (parts, remote)
    }

    pub(crate) fn into_local(self, shared: Arc<Shared>, index: usize) -> Local {
        let throttling = WakeThrottling::new(shared.patience());
        let (poll_tick, injector_tick) = (shared.knobs.poll_tick, shared.knobs.injector_tick);
        Local {
            shared,
            index,
            spawned: self.spawned,
            woken: self.woken,
            closures: self.closures,
            blocks: RefCell::default(),
            parker: self.parker,
            handles: Pool::new(),
            tick: Cell::new(0),
            until_poll: Cell::new(poll_tick),
            sockets_left_out: Cell::new(0),
            more_sockets: Cell::new(false),
            until_injected: Cell::new(injector_tick),
            slot_streak: Cell::new(0),
            in_driver: Cell::new(false),
            is_asking: Cell::new(false),
            throttling,
            searching: Cell::new(false),
            random: Cell::new(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(index as u64 + 1)),
        }
    }
}

impl Local {
    /// Back to what a worker is without a thread. Its queues are empty; its task memory goes to the others.
    pub(crate) fn into_parts<P: Policy>(self, scheduler: &SchedulerArc<Scheduler<P>>) -> Parts {
        let mut blocks = self.blocks.into_inner();
        blocks.flush(&self.shared.arena, scheduler);
        Parts {
            spawned: self.spawned,
            woken: self.woken,
            closures: self.closures,
            parker: self.parker,
        }
    }

    /// The calling thread's worker, if it is one of this runtime's.
    #[inline]
    pub(crate) fn current<'a>(shared: &Arc<Shared>) -> Option<&'a Self> {
        let local = CURRENT.try_with(Cell::get).ok()?;
        // SAFETY: `enter`'s caller keeps it further up on this thread's stack while it is current; the reference that
        // we return does not leave the calls that come from there.
        let local = unsafe { local.as_ref() }?;
        Arc::ptr_eq(&local.shared, shared).then_some(local)
    }

    /// Calls `body` with the calling thread's worker, whatever runtime's it is; meanwhile the thread is none. `None`:
    /// it is none already.
    pub(crate) fn leave<R>(body: impl FnOnce(&Self) -> R) -> Option<R> {
        struct Return(*const Local);
        impl Drop for Return {
            fn drop(&mut self) {
                AWAY.set(ptr::null());
                CURRENT.set(self.0);
            }
        }
        let local = CURRENT.try_with(Cell::get).unwrap_or(ptr::null());
        // SAFETY: as in `current`; nobody uses it meanwhile.
        let worker = unsafe { local.as_ref() }?;
        CURRENT.set(ptr::null());
        AWAY.set(Arc::as_ptr(&worker.shared));
        let _return = Return(local);
        Some(body(worker))
    }

    /// True where a worker of this runtime has [left](Local::leave) its thread to what runs there now.
    pub(crate) fn is_away(shared: &Arc<Shared>) -> bool {
        AWAY.try_with(Cell::get)
            .is_ok_and(|away| ptr::eq(away, Arc::as_ptr(shared)))
    }

    /// Calls `body` with this as the calling thread's worker.
    pub(crate) fn enter(&self, body: impl FnOnce()) {
        CURRENT.set(ptr::from_ref(self));
        self.remote().counters.awake_from(self.shared.now_ns());
        body();
        CURRENT.set(ptr::null());
    }

    #[inline]
    pub(crate) fn remote(&self) -> &Remote {
        &self.shared.remotes[self.index]
    }

    // ---- where a task goes

    /// A task that is due again.
    #[inline]
    pub(crate) fn put_woken<P: Policy>(&self, policy: &P, task: Task, by: WokenBy) {
        if task.is_marked() {
            return self.shared.batch_lane.push(&self.shared, task);
        }
        let by = if self.in_driver.get() {
            WokenBy::Driver
        } else {
            by
        };
        let place = self.ask(|| policy.place_woken(&WorkerView(self), by));
        self.put(place.unwrap_or(Place::Back), task);
    }

    /// A new task.
    #[inline]
    pub(crate) fn put_spawned<P: Policy>(&self, policy: &P, task: Task) {
        let place = self.ask(|| policy.place_spawned(&WorkerView(self)));
        self.put(place.unwrap_or(Place::Newest), task);
    }

    // Always: it is part of each spawn and of each wake.
    #[inline(always)]
    fn put(&self, place: Place, task: Task) {
        if let Some(clocks) = &self.shared.clocks {
            clocks.queued(self.index, task.id());
        }
        let (task, place) = match place {
            Place::Slot if self.shared.knobs.lifo_slot != LifoSlot::Off => {
                match self.remote().slot.put(task) {
                    None => return,
                    Some(displaced) => (displaced, Place::Back),
                }
            }
            Place::Slot => (task, Place::Back),
            place => (task, place),
        };
        match place {
            Place::Newest => self.spawned.push(task),
            Place::Slot | Place::Back => self.woken.push(task),
            Place::Shared => {
                self.shared.injector.push(task);
                if !self.in_driver.get() && self.shared.tells(Place::Shared) {
                    self.shared.notify_one();
                }
                return;
            }
        }
        // What the driver wakes is told about all together, when it is done.
        if self.shared.steals && !self.in_driver.get() && self.shared.tells(place) {
            self.tell_of_own();
        }
    }

    // ---- running

    #[inline]
    pub(crate) fn run<P: Policy>(&self, policy: &P, task: Task) {
        let remote = self.remote();
        let counters = &remote.counters;
        let outer = remote.enter_poll(task.id());
        add(&counters.polls, 1);
        let ran = match &self.shared.clocks {
            None => task.run(),
            Some(clocks) => clocks.measure(self.index, task),
        };
        remote.leave_poll(outer);
        match ran {
            Ran::Finished => add(&counters.finished, 1),
            Ran::Parked => {}
            Ran::Woken(task) | Ran::Yielded(task) => self.put_woken(policy, task, WokenBy::Itself),
        }
    }

    // ---- sockets and timers

    /// Between two tasks: asks for sockets, if what they woke the last time is done, and fires timers.
    pub(crate) fn drive_without_waiting(&self) {
        let left_out = self.sockets_left_out.get();
        if left_out == 0 {
            self.ask_sockets();
        } else {
            self.sockets_left_out.set(left_out - 1);
        }
        self.fire_due();
    }

    /// There is nothing to run: asks for more sockets, if some were left unreported, and fires timers, as it may go on
    /// like this for long. True if it has asked. While another worker keeps the sockets, they are that one's.
    #[inline]
    pub(crate) fn drive_for_more(&self) -> bool {
        self.more_sockets.get() && {
            self.more_sockets.set(false);
            !self.shared.keeper.is_other_than(self.index) && self.ask_sockets() && {
                self.fire_due();
                true
            }
        }
    }

    /// Asks the reactor without waiting until it has no more to report. The caller has the poller's token.
    pub(crate) fn drive_all(&self, help: &mut Help) {
        self.more_sockets.set(true);
        while self.more_sockets.get() {
            self.drive(help, Some(Duration::ZERO));
        }
    }

    /// Asks the reactor without waiting, if nobody else does.
    fn ask_sockets(&self) -> bool {
        if !self.shared.reactor.has_sources() {
            return false;
        }
        let Some(mut help) = self.shared.poller.try_lock() else {
            return false;
        };
        self.drive(&mut help, Some(Duration::ZERO));
        true
    }

    /// Asks the reactor. The caller has the poller's token. Returns what time it was then.
    pub(crate) fn drive(&self, help: &mut Help, timeout: Option<Duration>) -> Instant {
        add(&self.remote().counters.io_polls, 1);
        self.in_driver.set(true);
        let polled = self.shared.reactor.poll(timeout);
        self.in_driver.set(false);
        let polled = polled.expect("the reactor's own descriptors stay valid");
        self.more_sockets.set(polled.is_full);
        let now = Instant::now();
        let keeper = &self.shared.keeper;
        let keeps = if help.reported(polled, now) {
            keeper.remove();
            false
        } else {
            keeper.is(self.index) || self.spawned.is_empty() && keeper.claim(self.index)
        };
        self.set_keeping(keeps.then_some(now));
        self.begin_round();
        self.tell_of_woken();
        now
    }

    /// The reactor was asked: the next time is when all that is woken by now has had its turn, as it would have to
    /// wait for that anyway, while its sockets and tasks went out of the cache. But not for long, as others may take
    /// from the queue.
    fn begin_round(&self) {
        let poll_tick = self.shared.knobs.poll_tick;
        let round = self.woken.len() / poll_tick as usize;
        self.sockets_left_out.set(round.min(LEFT_OUT_MAX) as u32);
        self.until_poll.set(poll_tick);
    }

    pub(crate) fn fire_due(&self) {
        let timers = &self.remote().timers;
        if timers.next_deadline().is_some() {
            self.fire(timers);
        }
    }

    pub(crate) fn fire(&self, timers: &TimerShard) -> usize {
        self.in_driver.set(true);
        let fired = timers.fire(self.shared.clock.now());
        self.in_driver.set(false);
        if fired > 0 {
            self.tell_of_woken();
        }
        fired
    }

    // ---- sleeping

    /// Waits for a token, a socket or a timer, at most until `deadline`. The caller has announced that it sleeps.
    pub(crate) fn wait(&self, deadline: Option<Instant>) {
        let remote = self.remote();
        let counters = &remote.counters;
        add(&counters.parks, 1);
        let asleep_since = Instant::now();
        counters.asleep_from(self.shared.nanoseconds(asleep_since));
        remote.observed.asleep.store(true, Relaxed);
        let mut awake_since = None;
        if self.shared.clock.is_simulated() {
            self.wait_simulated();
        } else {
            match self.turn_at_reactor() {
                Some(mut help) => {
                    awake_since = self.wait_in_reactor(&mut help, deadline, asleep_since);
                }
                None => {
                    self.parker.park(deadline);
                }
            }
        }
        remote.observed.asleep.store(false, Relaxed);
        let awake_since = awake_since.unwrap_or_else(Instant::now);
        counters.awake_from(self.shared.nanoseconds(awake_since));
        // Either the monitor, before it sleeps, sees this worker awake, or we see that it sleeps; pairs with
        // `Monitor::sleep`.
        fence(SeqCst);
        self.shared.monitor.worker_woke();
    }

    /// The poller's token, if it is this worker's turn to wait in the reactor. Whoever has it and does not wait has it
    /// for a moment only: to leave the sockets to such a one would be to leave them until it has nothing else to do.
    fn turn_at_reactor(&self) -> Option<MutexGuard<'_, Help>> {
        let shared = &*self.shared;
        let attempt = || shared.keeper.turn(self.index, || shared.poller.try_lock());
        let mut token = attempt();
        for _ in 0..TOKEN_PATIENCE {
            let is_waited_for = || shared.reach().iter().any(|it| it.polling.load(Relaxed));
            if token.is_some() || shared.keeper.is_other_than(self.index) || is_waited_for() {
                break;
            }
            spin_loop();
            token = attempt();
        }
        token
    }

    /// Returns since when it is awake again, if it has waited.
    fn wait_in_reactor(
        &self,
        help: &mut Help,
        deadline: Option<Instant>,
        now: Instant,
    ) -> Option<Instant> {
        let polling = &self.remote().polling;
        polling.store(true, Relaxed);
        // Announced before the token is looked for; pairs with `Remote::unpark`, which does it the other way round.
        fence(SeqCst);
        let has_token = self.parker.take_token();
        let awake_since = (!has_token)
            .then(|| self.drive(help, deadline.map(|at| at.saturating_duration_since(now))));
        polling.store(false, Relaxed);
        awake_since
    }

    // ---- the end

    /// Cancels what this worker has queued, and runs the closures that somebody waits for.
    pub(crate) fn cancel_queued(&self) {
        while let Some(task) = self.take_own() {
            self.shared.cancel(task);
        }
        // Whoever waits for closures waits for all of them.
        while let Some(job) = self
            .closures
            .pop_since(Mark::BOTTOM)
            .or_else(|| self.steal_closure())
        {
            self.run_stolen(job);
        }
    }

    /// Gives what this worker has queued to the others.
    pub(crate) fn give_away(&self) {
        // First: this puts tasks into the queues, the slot among them, which nobody else empties.
        self.remote().timers.hand_on();
        while let Some(task) = self.take_own() {
            self.shared.injector.push(task);
        }
        while let Some(job) = self.closures.pop_since(Mark::BOTTOM) {
            self.shared.job_injector.push(job);
        }
        self.shared.keeper.release(self.index);
        self.set_keeping(None);
        self.shared.notify_one();
    }

    /// Whatever is in the own queues, in no order.
    pub(crate) fn take_own(&self) -> Option<Task> {
        self.remote()
            .slot
            .take()
            .or_else(|| self.spawned.pop())
            .or_else(|| self.woken.pop())
    }
}
