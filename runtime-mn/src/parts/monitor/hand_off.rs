//! Hand-off: who takes over from a stuck worker. Another one that sleeps does, or a replacement worker.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use runtime_core::primitives::Mutex;
use runtime_core::primitives::atomic::{
    AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};

use super::Monitor;
use super::guard::Left;
use crate::deque::retry;
use crate::parts::part::{Has, seen};
use crate::policy::LifoSlot;
use crate::scheduler::{Local, Shared};
use crate::seam::facts::{Ended, Event, Origin, Pick, SharedEvent};
use crate::seam::plan::Unstarted;

/// The replacement workers.
pub(super) struct Replacements {
    count: Count,
    waiting: Mutex<Waiting>,
    pub(super) hand_offs: AtomicU64,
}

struct Waiting {
    /// Those that have a thread, which waits.
    retired: Vec<usize>,
    /// Those that have none: the last one is the next.
    unstarted: Vec<Unstarted>,
}

impl Replacements {
    pub(super) fn new(most: usize) -> Self {
        Self {
            count: Count::new(),
            waiting: Mutex::new(Waiting {
                retired: Vec::new(),
                unstarted: Vec::with_capacity(most),
            }),
            hand_offs: AtomicU64::new(0),
        }
    }

    pub(super) fn set_caught(&self, caught: usize) {
        self.count.set_caught(caught);
    }

    /// Whether the replacement worker that asks has become one too many. If so it is counted off.
    #[inline]
    pub(super) fn retire_surplus(&self) -> bool {
        self.count.retire_surplus()
    }

    /// A worker that has no thread any more, or had none yet, for another thread.
    pub(super) fn take_back(&self, worker: Unstarted) {
        self.waiting.lock().unstarted.push(worker);
    }

    /// A replacement worker has waited for long enough, and wants its thread to end. True: nobody sends it any more.
    /// False: somebody just has.
    fn strike_off(&self, worker: usize) -> bool {
        let retired = &mut self.waiting.lock().retired;
        let at = retired.iter().position(|waiting| *waiting == worker);
        at.map(|at| retired.swap_remove(at)).is_some()
    }
}

/// How many workers are stuck, and how many workers replace them.
#[derive(Debug)]
pub(super) struct Count {
    /// Those that the monitor has caught.
    caught: AtomicUsize,
    /// Those whose tasks block in place.
    in_place: AtomicUsize,
    replacing: AtomicUsize,
}

impl Count {
    pub(super) fn new() -> Self {
        Self {
            caught: AtomicUsize::new(0),
            in_place: AtomicUsize::new(0),
            replacing: AtomicUsize::new(0),
        }
    }

    /// How many the monitor has caught.
    pub(super) fn set_caught(&self, caught: usize) {
        self.caught.store(caught, Relaxed);
    }

    fn stuck(&self) -> usize {
        self.caught.load(Relaxed) + self.in_place.load(Relaxed)
    }

    pub(super) fn replacing(&self) -> usize {
        self.replacing.load(Relaxed)
    }

    /// Whether no worker is left that could do anything.
    fn all_stuck(&self, workers: usize) -> bool {
        self.stuck() >= workers + self.replacing()
    }

    /// Whether one more may replace: one for each stuck worker. If so it is counted.
    pub(super) fn admit(&self) -> bool {
        self.change(|stuck, replacing| (replacing < stuck).then(|| replacing + 1))
    }

    /// Whether the replacement worker that asks has become one too many. It is the one that goes.
    pub(super) fn retire_surplus(&self) -> bool {
        self.change(|stuck, replacing| (replacing > stuck).then(|| replacing - 1))
    }

    /// Whether there are more replacement workers than stuck workers.
    fn has_surplus(&self) -> bool {
        self.replacing() > self.stuck()
    }

    /// A replacement worker that was admitted can't be sent.
    fn take_back(&self) {
        self.replacing.fetch_sub(1, Relaxed);
    }

    fn change(&self, rule: impl Fn(usize, usize) -> Option<usize>) -> bool {
        let mut replacing = self.replacing();
        while let Some(changed) = rule(self.stuck(), replacing) {
            // Relaxed: nothing but the count is agreed upon.
            let exchanged = self
                .replacing
                .compare_exchange(replacing, changed, Relaxed, Relaxed);
            match exchanged {
                Ok(_) => return true,
                Err(now) => replacing = now,
            }
        }
        false
    }
}

/// A replacement worker's life: it waits until a worker is stuck, takes its place, and waits again, but not for ever.
pub(super) fn live<H: Has<Monitor>>(local: &Local<H>, work: &dyn Fn()) -> Ended {
    let (shared, index) = (&local.shared, local.index());
    let monitor = shared.parts.part();
    let observed = seen::<Monitor, H>(shared, index);
    while !shared.closed.load(SeqCst) {
        if let Some(stuck) = observed.take_assignment() {
            take_over(local, stuck);
            H::observe(local, Event::TookOver(stuck));
            work();
            local.found();
            give_away(local);
            observed.is_replacing.store(false, Relaxed);
            monitor.replacements.waiting.lock().retired.push(index);
            if shared.clock.is_simulated() {
                // It may have been the last one that worked.
                shared.reactor.notify();
            }
            continue;
        }
        let now = Instant::now();
        H::observe(local, Event::Sleeps(now));
        let was_called = local.parker.park(now.checked_add(monitor.keep_alive));
        H::observe(local, Event::Wakes(Instant::now()));
        if !was_called && monitor.replacements.strike_off(index) {
            if shared.threads.one_worker_less(&shared.closed) {
                return Ended::Idle;
            }
            break;
        }
    }
    Ended::WithTheRuntime
}

/// Takes over what a stuck worker has queued, as much as fits; the rest can be stolen like any other's.
fn take_over<H: Has<Monitor>>(local: &Local<H>, stuck: usize) {
    let (own, victim) = (&local.queues, &local.shared.remotes[stuck].queues);
    for (from, to) in [(&victim.fifo, &own.fifo), (&victim.lifo, &own.lifo)] {
        // Batches are of half of what is left, so the loop ends after a few.
        while !from.is_empty() {
            let before = to.len();
            if from.steal_batch(to).is_empty() {
                break;
            }
            H::observe(local, Event::Stole(to.len().saturating_sub(before)));
        }
    }
    H::observe(local, Event::TakesOver(stuck));
    if let Some(task) = victim.slot.take() {
        own.fifo.push(task);
    }
    local.fire_due(&local.shared.remotes[stuck].timers);
}

/// Gives what this worker has queued to the others.
fn give_away<H: Has<Monitor>>(local: &Local<H>) {
    // First: this puts tasks into the queues, the slot among them, which nobody else empties.
    local.remote.timers.hand_on();
    while let Some(task) = local.pop_any() {
        local.shared.injector.push(task);
    }
    H::observe(local, Event::Leaves);
    local.shared.wake_one();
}

/// Sees to it that somebody does what the stuck worker should.
pub(super) fn hand_off<H: Has<Monitor>>(shared: &Arc<Shared<H>>, stuck: usize) {
    let now = shared.clock.now();
    let remote = &shared.remotes[stuck];
    if remote.timers.is_due(now) {
        remote.timers.fire(now);
    }
    share_out(shared, stuck);
    // Before it is asked who sleeps, so that a sleeper may take everything.
    H::observe_shared(shared, SharedEvent::HeldUp(stuck));
    if shared.idle.somebody_sleeps() {
        // A policy need not let a sleeper take it.
        if let Some(task) = remote.queues.slot.take() {
            shared.injector.push(task);
        }
        // The stuck one may have been the one who asked the reactor: the sleeper that is woken takes over there, when
        // it finds nothing to run.
        if shared.has_waiting(stuck) || shared.has_injected() || is_unwatched(shared) {
            shared.wake_one();
        }
        return;
    }
    let nobody_works = shared
        .parts
        .part()
        .replacements
        .count
        .all_stuck(shared.workers);
    if shared.has_waiting(stuck)
        || nobody_works && (shared.has_injected() || shared.reactor.has_sources())
    {
        replace(shared, stuck);
    }
}

/// Wakes a sleeper for what waits behind the poll of a worker that may well return soon.
pub(super) fn help<H: Has<Monitor>>(shared: &Shared<H>, busy: usize, left: Left) {
    let (now, remote) = (shared.clock.now(), &shared.remotes[busy]);
    // What is taken from the worker is in nobody's queue for a moment.
    let _hold = shared.clock.hold();
    // A policy need not let a sleeper fire them.
    if remote.timers.is_due(now) {
        remote.timers.fire(now);
    }
    // Nor take the task in the slot.
    if left == Left::Next
        && let Some(task) = remote.queues.slot.take()
    {
        shared.injector.push(task);
    }
    // A sleeper must be able to take it.
    H::observe_shared(shared, SharedEvent::HeldUp(busy));
    shared.wake_one();
}

/// What a worker that is in a poll has left to others: tasks that a sleeper may take, timers that are due.
pub(super) fn left<H: Has<Monitor>>(shared: &Shared<H>, busy: usize) -> Left {
    let remote = &shared.remotes[busy];
    let has_other_work = || H::has_other_work(shared, Origin::Worker(busy));
    let has_work = || shared.has_tasks(busy, true) || has_other_work();
    if shared.rules.steals && has_work() || remote.timers.is_due(shared.clock.now()) {
        Left::Queued
    } else if shared.rules.steals
        && shared.rules.knobs.lifo_slot == LifoSlot::On
        && remote.queues.slot.is_filled()
    {
        Left::Next
    } else {
        Left::Nothing
    }
}

/// Whether there are sockets, and no worker waits for them. Asking for the poller's token would tell as much, but a
/// worker that comes for it at that moment would not get it.
pub(super) fn is_unwatched<H: Has<Monitor>>(shared: &Shared<H>) -> bool {
    let mut active = shared.active().iter();
    shared.reactor.has_sources() && !active.any(|remote| remote.waking.is_in_reactor())
}

/// Wakes a replacement worker that sleeps although there is one too many: it goes by itself when it sees that, but an
/// idle runtime would never let it see.
pub(super) fn call_off_surplus<H: Has<Monitor>>(shared: &Shared<H>) {
    if !shared.parts.part().replacements.count.has_surplus() {
        return;
    }
    let mut replacements = shared.workers..shared.active().len();
    let sleeps = |worker: &usize| {
        let observed = seen::<Monitor, H>(shared, *worker);
        observed.is_replacing.load(Relaxed) && observed.asleep.load(Relaxed)
    };
    if let Some(worker) = replacements.find(sleeps) {
        shared.unpark(worker);
    }
}

/// Gives to all what the policy lets nobody take from a stuck worker. A replacement worker takes it over once, but the
/// stuck task may go on queueing.
fn share_out<H: Has<Monitor>>(shared: &Shared<H>, stuck: usize) {
    let queues = &shared.remotes[stuck].queues;
    if !shared.rules.steals {
        for queue in [&queues.fifo, &queues.lifo] {
            while let Some(task) = retry(|| queue.steal()) {
                shared.injector.push(task);
            }
        }
        while let Some(task) = H::take(shared, stuck, Pick::Any) {
            shared.injector.push(task);
        }
    }
    if (!shared.rules.steals || shared.rules.knobs.lifo_slot != LifoSlot::On)
        && let Some(task) = queues.slot.take()
    {
        shared.injector.push(task);
    }
}

/// Sends a replacement worker to take over, if there is one left and none does yet.
fn replace<H: Has<Monitor>>(shared: &Arc<Shared<H>>, stuck: usize) {
    let replacements = &shared.parts.part().replacements;
    if shared.closed.load(SeqCst) || !replacements.count.admit() {
        return;
    }
    let mut waiting = replacements.waiting.lock();
    let retired = waiting.retired.pop();
    let unstarted = if retired.is_none() {
        waiting.unstarted.pop()
    } else {
        None
    };
    drop(waiting);
    let sent = if let Some(worker) = retired {
        let observed = seen::<Monitor, H>(shared, worker);
        observed.is_replacing.store(true, Relaxed);
        observed.assign(stuck);
        shared.unpark(worker);
        true
    } else {
        unstarted.is_some_and(|worker| start(shared, worker, stuck))
    };
    if sent {
        replacements.hand_offs.fetch_add(1, Relaxed);
    } else {
        replacements.count.take_back();
    }
}

fn start<H: Has<Monitor>>(shared: &Arc<Shared<H>>, worker: Unstarted, stuck: usize) -> bool {
    let Some(starter) = shared.threads.starter() else {
        return false;
    };
    if !shared.threads.admit(&shared.closed, true) {
        return false;
    }
    let index = worker.queues.index;
    let observed = seen::<Monitor, H>(shared, index);
    observed.is_replacing.store(true, Relaxed);
    observed.assign(stuck);
    shared.active.fetch_max(index + 1, Relaxed);
    if starter.start_worker(worker).is_err() {
        // The system gives no thread: one replacement worker less.
        observed.is_replacing.store(false, Relaxed);
        shared.threads.worker_failed();
        return false;
    }
    true
}

/// The worker's task blocks in place: hand-off at once, if there is anything to do.
pub(super) fn leave<H: Has<Monitor>>(shared: &Arc<Shared<H>>, away: usize) {
    shared
        .parts
        .part()
        .replacements
        .count
        .in_place
        .fetch_add(1, Relaxed);
    hand_off(shared, away);
    if shared
        .parts
        .part()
        .replacements
        .count
        .all_stuck(shared.workers)
    {
        // Even if there is nothing to do yet: whatever comes would find nobody.
        replace(shared, away);
    }
}

/// The worker is back. A replacement worker that is one too many goes by itself.
pub(super) fn come_back<H: Has<Monitor>>(shared: &Shared<H>) {
    shared
        .parts
        .part()
        .replacements
        .count
        .in_place
        .fetch_sub(1, Relaxed);
    if !shared.parts.part().is_on {
        call_off_surplus(shared);
    }
}
