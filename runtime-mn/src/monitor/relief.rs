//! Who takes over from a stuck worker: another one that sleeps, or a spare.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use runtime_core::primitives::Mutex;
use runtime_core::primitives::atomic::{
    AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};

use super::guard::Left;
use crate::knobs::LifoSlot;
use crate::local::Parts;
use crate::queues::retry;
use crate::remote::Remote;
use crate::shared::Shared;

/// The spare workers.
pub(crate) struct Spares {
    count: Count,
    /// All workers, with the spares that ever stood in.
    reach: AtomicUsize,
    waiting: Mutex<Waiting>,
    pub(crate) hand_offs: AtomicU64,
}

struct Waiting {
    /// Spares that have a thread, which waits.
    retired: Vec<usize>,
    /// Those that have none, with their numbers: the last one is the next.
    unborn: Vec<(usize, Parts)>,
}

impl Spares {
    pub(super) fn new(workers: usize, spares: Vec<Parts>) -> Self {
        // The first one is to be the first that is sent.
        let unborn = (workers..).zip(spares).collect::<Vec<_>>();
        let unborn = unborn.into_iter().rev().collect();
        Self {
            count: Count::new(),
            reach: AtomicUsize::new(workers),
            waiting: Mutex::new(Waiting {
                retired: Vec::new(),
                unborn,
            }),
            hand_offs: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(super) fn reach(&self) -> usize {
        self.reach.load(Relaxed)
    }

    pub(super) fn set_caught(&self, caught: usize) {
        self.count.set_caught(caught);
    }
}

/// How many workers are stuck, and how many spares stand in for them.
#[derive(Debug)]
pub(super) struct Count {
    /// Those that the monitor has caught.
    caught: AtomicUsize,
    /// Those whose tasks block in place.
    in_place: AtomicUsize,
    standing_in: AtomicUsize,
}

impl Count {
    pub(super) fn new() -> Self {
        Self {
            caught: AtomicUsize::new(0),
            in_place: AtomicUsize::new(0),
            standing_in: AtomicUsize::new(0),
        }
    }

    /// How many the monitor has caught.
    pub(super) fn set_caught(&self, caught: usize) {
        self.caught.store(caught, Relaxed);
    }

    fn stuck(&self) -> usize {
        self.caught.load(Relaxed) + self.in_place.load(Relaxed)
    }

    pub(super) fn standing_in(&self) -> usize {
        self.standing_in.load(Relaxed)
    }

    /// Whether no worker is left that could do anything.
    fn all_stuck(&self, workers: usize) -> bool {
        self.stuck() >= workers + self.standing_in()
    }

    /// Whether one more may stand in: one for each stuck worker. If so it is counted.
    pub(super) fn admit(&self) -> bool {
        self.change(|stuck, standing_in| (standing_in < stuck).then(|| standing_in + 1))
    }

    /// Whether the spare that asks has become one too many. It is the one that goes.
    pub(super) fn retire_surplus(&self) -> bool {
        self.change(|stuck, standing_in| (standing_in > stuck).then(|| standing_in - 1))
    }

    /// Whether there are more spares than stuck workers.
    fn has_surplus(&self) -> bool {
        self.standing_in() > self.stuck()
    }

    /// A spare that was admitted can't be sent.
    fn take_back(&self) {
        self.standing_in.fetch_sub(1, Relaxed);
    }

    fn change(&self, rule: impl Fn(usize, usize) -> Option<usize>) -> bool {
        let mut standing_in = self.standing_in();
        while let Some(changed) = rule(self.stuck(), standing_in) {
            // Relaxed: nothing but the count is agreed upon.
            let exchanged =
                self.standing_in
                    .compare_exchange(standing_in, changed, Relaxed, Relaxed);
            match exchanged {
                Ok(_) => return true,
                Err(now) => standing_in = now,
            }
        }
        false
    }
}

impl super::Monitor {
    /// A spare worker asks whether it has become one too many. If so it is counted off, and goes.
    pub(crate) fn retire_surplus(&self) -> bool {
        self.spares.count.retire_surplus()
    }

    /// A spare worker has given away what it had, and waits.
    pub(crate) fn retired(&self, spare: usize) {
        self.spares.waiting.lock().retired.push(spare);
    }

    /// A spare worker has waited for long enough, and wants its thread to end. True: nobody sends it any more. False:
    /// somebody just has.
    pub(crate) fn strike_off(&self, spare: usize) -> bool {
        let retired = &mut self.spares.waiting.lock().retired;
        let at = retired.iter().position(|waiting| *waiting == spare);
        at.map(|at| retired.swap_remove(at)).is_some()
    }

    /// The parts of a spare worker whose thread ends, for another one.
    pub(crate) fn give_parts(&self, spare: usize, parts: Parts) {
        self.spares.waiting.lock().unborn.push((spare, parts));
    }
}

/// Sees to it that somebody does what the stuck worker should.
pub(super) fn relieve(shared: &Arc<Shared>, stuck: usize) {
    let now = shared.clock.now();
    let remote = &shared.remotes[stuck];
    if remote.timers.is_due(now) {
        remote.timers.fire(now);
    }
    share_out(shared, stuck);
    // Before it is asked who sleeps: see the README of `sockets`.
    shared.keeper.release(stuck);
    if shared.idle.somebody_sleeps() {
        // A policy need not let a sleeper take it.
        if let Some(task) = remote.slot.take() {
            shared.injector.push(task);
        }
        // The stuck one may have been the one who asked the reactor: the sleeper that is woken takes over there, when
        // it finds nothing to run.
        if remote.has_waiting() || shared.has_injected() || is_unwatched(shared) {
            shared.notify_one();
        }
        return;
    }
    let nobody_works = shared.monitor.spares.count.all_stuck(shared.workers);
    if remote.has_waiting()
        || nobody_works && (shared.has_injected() || shared.reactor.has_sources())
    {
        stand_in(shared, stuck);
    }
}

/// Wakes a sleeper for what waits behind the poll of a worker that may well return soon.
pub(super) fn help(shared: &Shared, busy: usize, left: Left) {
    let (now, remote) = (shared.clock.now(), &shared.remotes[busy]);
    // What is taken from the worker is in nobody's queue for a moment.
    let _hold = shared.clock.hold();
    // A policy need not let a sleeper fire them.
    if remote.timers.is_due(now) {
        remote.timers.fire(now);
    }
    // Nor take the task in the slot.
    if left == Left::Next
        && let Some(task) = remote.slot.take()
    {
        shared.injector.push(task);
    }
    // A sleeper takes nothing that the keeper's sockets have woken.
    shared.keeper.release(busy);
    shared.notify_one();
}

/// What a worker that is in a poll has left to others: tasks that a sleeper may take, timers that are due.
pub(super) fn left(shared: &Shared, busy: usize) -> Left {
    let remote = &shared.remotes[busy];
    let is_queued = shared.steals && remote.has_work(true);
    if is_queued || remote.timers.is_due(shared.clock.now()) {
        Left::Queued
    } else if shared.steals && shared.knobs.lifo_slot == LifoSlot::On && remote.slot.is_filled() {
        Left::Next
    } else {
        Left::Nothing
    }
}

/// Whether there are sockets, and no worker waits for them. Asking for the poller's token would tell as much, but a
/// worker that comes for it at that moment would not get it.
pub(super) fn is_unwatched(shared: &Shared) -> bool {
    let is_polling = |remote: &Remote| remote.polling.load(Relaxed);
    shared.reactor.has_sources() && !shared.reach().iter().any(is_polling)
}

/// Wakes a spare worker that sleeps although there is one too many: it goes by itself when it sees that, but an idle
/// runtime would never let it see.
pub(super) fn call_off_surplus(shared: &Shared) {
    if !shared.monitor.spares.count.has_surplus() {
        return;
    }
    let mut spares = shared.reach()[shared.workers..].iter();
    let sleeps = |spare: &&Remote| {
        spare.observed.stands_in.load(Relaxed) && spare.observed.asleep.load(Relaxed)
    };
    if let Some(spare) = spares.find(sleeps) {
        spare.unpark(&shared.reactor);
    }
}

/// Gives to all what the policy lets nobody take from a stuck worker. A spare takes it over once, but the stuck task
/// may go on queueing.
fn share_out(shared: &Shared, stuck: usize) {
    let remote = &shared.remotes[stuck];
    if !shared.steals {
        for queue in [&remote.woken, &remote.spawned] {
            while let Some(task) = retry(|| queue.steal()) {
                shared.injector.push(task);
            }
        }
    }
    if (!shared.steals || shared.knobs.lifo_slot != LifoSlot::On)
        && let Some(task) = remote.slot.take()
    {
        shared.injector.push(task);
    }
}

/// Sends a spare worker to take over, if there is one left and none does yet.
fn stand_in(shared: &Arc<Shared>, stuck: usize) {
    let spares = &shared.monitor.spares;
    if shared.closed.load(SeqCst) || !spares.count.admit() {
        return;
    }
    let mut waiting = spares.waiting.lock();
    let retired = waiting.retired.pop();
    let unborn = if retired.is_none() {
        waiting.unborn.pop()
    } else {
        None
    };
    drop(waiting);
    let sent = if let Some(spare) = retired {
        let remote = &shared.remotes[spare];
        remote.observed.stands_in.store(true, Relaxed);
        remote.observed.assign(stuck);
        remote.unpark(&shared.reactor);
        true
    } else {
        unborn.is_some_and(|(index, parts)| start(shared, parts, index, stuck))
    };
    if sent {
        spares.hand_offs.fetch_add(1, Relaxed);
    } else {
        spares.count.take_back();
    }
}

fn start(shared: &Arc<Shared>, parts: Parts, index: usize, stuck: usize) -> bool {
    let Some(starter) = shared.starter() else {
        return false;
    };
    if !shared.admit_worker() {
        return false;
    }
    let remote = &shared.remotes[index];
    remote.observed.stands_in.store(true, Relaxed);
    remote.observed.assign(stuck);
    shared.monitor.spares.reach.fetch_max(index + 1, Relaxed);
    if starter.start_worker(parts, index).is_err() {
        // The system gives no thread: one spare less.
        remote.observed.stands_in.store(false, Relaxed);
        shared.is_last_to_end();
        shared.thread_ended();
        return false;
    }
    true
}

/// The worker's task blocks in place: relief at once, if there is anything to do.
pub(super) fn leave(shared: &Arc<Shared>, away: usize) {
    shared.monitor.spares.count.in_place.fetch_add(1, Relaxed);
    relieve(shared, away);
    if shared.monitor.spares.count.all_stuck(shared.workers) {
        // Even if there is nothing to do yet: whatever comes would find nobody.
        stand_in(shared, away);
    }
}

/// The worker is back. A spare that is one too many goes by itself.
pub(super) fn come_back(shared: &Shared) {
    shared.monitor.spares.count.in_place.fetch_sub(1, Relaxed);
    if !shared.monitor.is_on() {
        call_off_surplus(shared);
    }
}
