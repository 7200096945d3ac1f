//! A worker's loop: what runs next, when to search, when to sleep. Where it looks is its policy's decision.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use runtime_core::task::{Ran, SchedulerArc, Task};

use super::steal::Found;
use super::{Local, Shared};
use crate::binding::Scheduler;
use crate::counting::{add, comes_round};
use crate::policy::{GoLike, Policy, Source, WokenBy};
use crate::seam::Hooks;
use crate::seam::facts::{Event, Origin};

pub(crate) struct Worker<P: Policy, H: Hooks> {
    pub(crate) scheduler: SchedulerArc<Scheduler<P, H>>,
    pub(crate) local: Local<H>,
    /// There was work when this worker was about to sleep, and its policy's search had not found it.
    pub(crate) has_overlooked: Cell<bool>,
}

impl<P: Policy, H: Hooks> Worker<P, H> {
    #[inline]
    pub(crate) fn shared(&self) -> &Arc<Shared<H>> {
        &self.local.shared
    }

    #[inline]
    fn policy(&self) -> &P {
        self.scheduler.policy()
    }

    /// Works until the runtime closes, or the worker must leave.
    pub(crate) fn work(&self) {
        let local = &self.local;
        while !self.shared().closed.load(Relaxed) && !H::must_leave(local) {
            H::observe(local, Event::BetweenTasks);
            if let Some(task) = self.next() {
                local.found();
                H::observe(local, Event::Took);
                self.run(task);
                continue;
            }
            if local.drive_for_more() {
                continue;
            }
            H::observe(local, Event::RanOut);
            if H::do_other_work(local, Origin::Own) {
                continue;
            }
            match self.search() {
                Some(Found::Task(task)) => {
                    local.found();
                    self.run(task);
                }
                Some(Found::OtherWork) => {}
                None => self.park(),
            }
        }
    }

    /// The next task of this worker's own, or an injected one.
    #[inline]
    fn next(&self) -> Option<Task> {
        let (local, knobs) = (&self.local, &self.shared().rules.knobs);
        let tick = &local.queues.tick;
        tick.set(tick.get().wrapping_add(1));
        // Counted down: to divide the tick cost more than all else here.
        if comes_round(&local.until_poll, knobs.poll_tick) {
            local.drive_in_passing();
        }
        H::place_injected(local, self.policy());
        if comes_round(&local.until_injected, knobs.injector_tick) {
            H::do_other_work(local, Origin::Outside);
            let injected = local.take(Source::Injected);
            if let Some(task) = injected.or_else(|| local.take(Source::Inbox)) {
                return Some(task);
            }
        }
        if let Some(task) = local.take_in_turn() {
            return Some(task);
        }
        if let Some(source) = local.ask_for_next(self.policy()) {
            if source != Source::Slot {
                local.slot_streak.set(0);
            }
            if let Some(task) = local.take(source) {
                return Some(task);
            }
        }
        // What the policy overlooks must not be lost.
        local.pop_any()
    }

    #[inline]
    fn run(&self, task: Task) {
        let local = &self.local;
        add(&local.remote.polls, 1);
        H::observe(local, Event::PollBegins(task.id()));
        let ran = H::poll(local, task);
        H::observe(local, Event::PollEnds);
        match ran {
            Ran::Finished => H::observe(local, Event::Finished),
            Ran::Parked => {}
            Ran::Woken(task) | Ran::Yielded(task) => {
                local.place_woken(self.policy(), task, WokenBy::Itself);
            }
        }
    }

    /// Looks at everybody's queues, if not enough workers do so already.
    fn search(&self) -> Option<Found> {
        if !self.local.searching.get() {
            if !self.shared().idle.start_searching() {
                return None;
            }
            self.local.searching.set(true);
        }
        // What was overlooked may be gone by now. The policy is asked before each sleep all the same.
        let overlooked = self.has_overlooked.replace(false);
        let found = overlooked.then(|| self.look(&GoLike)).flatten();
        found.or_else(|| self.look(self.policy()))
    }

    /// Looks for work where that policy says, in its order, once.
    fn look<Q: Policy>(&self, policy: &Q) -> Option<Found> {
        let local = &self.local;
        if H::place_injected(local, policy)
            && let Some(task) = local.pop_any()
        {
            return Some(Found::Task(task));
        }
        local.ask_where_to_look(policy, |attempt| local.attempt(attempt))
    }

    /// Nothing to do: waits for a token, a socket or a timer. The README says why no wake-up is lost.
    fn park(&self) {
        let (shared, local) = (self.shared(), &self.local);
        let deadline = H::prepare_park(local);
        let was_searching = local.searching.replace(false);
        local.remote.asleep.store(true, Relaxed);
        let last_look = shared.idle.sleep(local.index(), was_searching);
        if shared.has_waiting(local.index()) {
            // The policy, or a waker that the search called, has queued it here. Nobody else need see it.
        } else if last_look && shared.has_work_for_others() {
            self.has_overlooked.set(true);
        } else if !shared.closed.load(SeqCst) {
            local.wait(deadline);
        }
        local.remote.timers.finish_park();
        local.remote.asleep.store(false, Relaxed);
        // Taken off by a waker, this worker counts as searching already. If it was not the waker's token that ended
        // the wait, the token stays behind and ends the next one at once, which does no harm.
        let is_searching = !shared.idle.cancel_sleep(local.index());
        local.searching.set(is_searching);
        local.fire_due(&local.remote.timers);
    }
}

impl<H: Hooks> Local<H> {
    /// There is something to do. The last searcher that finds something wakes the next one.
    #[inline]
    pub(crate) fn found(&self) {
        if self.searching.replace(false) && self.shared.idle.stop_searching() {
            self.shared.wake_one();
        }
    }
}

impl<H: Hooks> Shared<H> {
    /// The last look of a worker that goes to sleep: whether there is anything that it may take.
    fn has_work_for_others(&self) -> bool {
        let has_work = |worker| {
            self.has_tasks(worker, H::shares_fifo(self, worker))
                || H::has_other_work(self, Origin::Worker(worker))
        };
        self.has_injected() || self.rules.steals && (0..self.active().len()).any(has_work)
    }
}
