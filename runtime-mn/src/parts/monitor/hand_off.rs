//! Hand-off: a sleeping worker, or a replacement worker, takes over from a stuck worker.

use std::sync::Arc;

use runtime_core::primitives::atomic::Ordering::{Relaxed, SeqCst};
use runtime_core::primitives::now;

use super::guard::Left;
use super::replacements::Next;
use super::state::Monitor;
use crate::deque::retry;
use crate::parts::part::{Has, seen};
use crate::policy::LifoSlot;
use crate::scheduler::{Local, Shared};
use crate::seam::facts::{Ended, Event, Origin, Pick, SharedEvent};
use crate::seam::plan::Unstarted;

/// A replacement worker's life: it waits until a worker is stuck, replaces it, and waits again, but not for ever.
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
            monitor.replacements.retire(index);
            if shared.clock.is_simulated() {
                // It may have been the last worker that was busy.
                shared.reactor.notify();
            }
            continue;
        }
        let since = now();
        H::observe(local, Event::Sleeps(since));
        let was_called = local.parker.park(since.checked_add(monitor.keep_alive));
        H::observe(local, Event::Wakes(now()));
        if !was_called && monitor.replacements.strike_off(index) {
            if shared.threads.one_worker_less(&shared.closed) {
                return Ended::Idle;
            }
            break;
        }
    }
    Ended::WithTheRuntime
}

/// Takes over the tasks that a stuck worker has queued, as many as fit. The rest can be stolen, as from any worker.
fn take_over<H: Has<Monitor>>(local: &Local<H>, stuck: usize) {
    let (own, victim) = (&local.queues, &local.shared.remotes[stuck].queues);
    for (from, to) in [(&victim.fifo, &own.fifo), (&victim.lifo, &own.lifo)] {
        // Each batch is half of what is left, so the loop ends after a few.
        while !from.is_empty() {
            let before = to.len();
            if from.steal_batch(to).is_empty() {
                break;
            }
            H::observe(local, Event::Stole(to.len().saturating_sub(before)));
        }
    }
    if let Some(task) = victim.slot.take() {
        own.fifo.push(task);
    }
    local.fire_due(&local.shared.remotes[stuck].timers);
}

/// Gives this worker's queued tasks to the others.
fn give_away<H: Has<Monitor>>(local: &Local<H>) {
    // This comes first: it puts tasks into the queues and the slot, which no other worker empties.
    local.remote.timers.hand_on();
    while let Some(task) = local.pop_any() {
        local.shared.injector.push(task);
    }
    H::observe(local, Event::Leaves);
    local.shared.wake_one();
}

/// Makes sure that another worker does the stuck worker's work.
pub(super) fn hand_off<H: Has<Monitor>>(shared: &Arc<Shared<H>>, stuck: usize) {
    let now = shared.clock.now();
    let remote = &shared.remotes[stuck];
    // What is taken from the worker is in no queue for a moment. By then its poll may have returned, and it may sleep.
    let _hold = shared.clock.hold();
    if remote.timers.is_due(now) {
        remote.timers.fire(now);
    }
    share_out(shared, stuck);
    // Before the check for sleepers, so that a sleeper may take everything.
    H::observe_shared(shared, SharedEvent::HeldUp(stuck));
    if shared.idle.has_sleepers() {
        // The policy may not let a sleeper take it.
        if let Some(task) = remote.queues.slot.take() {
            shared.injector.push(task);
        }
        // The stuck worker may have been the one that polls the reactor: the woken sleeper takes over there if it
        // finds nothing to run.
        if shared.has_waiting(stuck) || shared.has_injected() || is_unwatched(shared) {
            shared.wake_one();
        }
        return;
    }
    let count = &shared.parts.part().replacements.count;
    let all_stuck = count.all_stuck(shared.workers);
    if shared.has_waiting(stuck)
        || all_stuck && (shared.has_injected() || shared.reactor.has_sources())
    {
        replace(shared, stuck);
    }
}

/// Wakes a sleeper for what waits behind the poll of a worker that may well return soon.
pub(super) fn help<H: Has<Monitor>>(shared: &Shared<H>, busy: usize, left: Left) {
    let (now, remote) = (shared.clock.now(), &shared.remotes[busy]);
    // What is taken from the worker is in no queue for a moment.
    let _hold = shared.clock.hold();
    // The policy may not let a sleeper fire them.
    if remote.timers.is_due(now) {
        remote.timers.fire(now);
    }
    // Nor take the task in the slot.
    if left == Left::Next
        && let Some(task) = remote.queues.slot.take()
    {
        shared.injector.push(task);
    }
    // So that a sleeper can take the tasks.
    H::observe_shared(shared, SharedEvent::HeldUp(busy));
    shared.wake_one();
}

/// What a worker in a poll has left to others: tasks that a sleeper may take, timers that are due.
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

/// Whether there are sockets, and no worker waits for them. Trying to get the poller's token would give the same
/// answer, but a worker that wants the token at that moment would not get it.
pub(super) fn is_unwatched<H: Has<Monitor>>(shared: &Shared<H>) -> bool {
    let mut active = shared.active().iter();
    shared.reactor.has_sources() && !active.any(|remote| remote.waking.is_in_reactor())
}

/// Wakes a sleeping replacement worker if there is one too many. It ends by itself when it notices that, but in an
/// idle runtime it would never notice.
pub(super) fn call_off_surplus<H: Has<Monitor>>(shared: &Shared<H>) {
    if !shared.parts.part().replacements.count.has_surplus() {
        return;
    }
    let mut replacements = shared.workers..shared.active().len();
    let sleeps = |worker: &usize| {
        let observed = seen::<Monitor, H>(shared, *worker);
        let is_idle = observed.is_replacing.load(Relaxed) && observed.asleep.load(Relaxed);
        is_idle && !observed.has_pinned.load(Relaxed)
    };
    if let Some(worker) = replacements.find(sleeps) {
        shared.unpark(worker);
    }
}

/// Moves the tasks that the policy lets no other worker take from a stuck worker to the injector. A replacement worker
/// takes them over once, but the stuck task may continue queueing.
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

/// Sends a replacement worker to take over, if one is left and no other one has taken over yet.
fn replace<H: Has<Monitor>>(shared: &Arc<Shared<H>>, stuck: usize) {
    let replacements = &shared.parts.part().replacements;
    if shared.closed.load(SeqCst) || !replacements.count.admit() {
        return;
    }
    let sent = match replacements.next() {
        Some(Next::Retired(worker)) => {
            let observed = seen::<Monitor, H>(shared, worker);
            observed.is_replacing.store(true, Relaxed);
            observed.assign(stuck);
            shared.unpark(worker);
            true
        }
        Some(Next::Unstarted(worker)) => start(shared, worker, stuck),
        None => false,
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
        // The system refuses a thread: there is one replacement worker less.
        observed.is_replacing.store(false, Relaxed);
        shared.threads.worker_failed();
        return false;
    }
    true
}

/// Call this when a worker's task blocks in place. It hands off at once, if there is anything to do.
pub(super) fn leave<H: Has<Monitor>>(shared: &Arc<Shared<H>>, away: usize) {
    let count = &shared.parts.part().replacements.count;
    count.one_leaves();
    hand_off(shared, away);
    if count.all_stuck(shared.workers) {
        // Even if there is nothing to do yet: new work would find no worker.
        replace(shared, away);
    }
}

/// Call this when the worker is back. If there is one replacement worker too many, that one ends by itself.
pub(super) fn come_back<H: Has<Monitor>>(shared: &Shared<H>) {
    let monitor = shared.parts.part();
    monitor.replacements.count.one_comes_back();
    if !monitor.is_on {
        call_off_surplus(shared);
    }
}
