//! A worker's loop: what runs next, when to search, when to sleep. Where it looks is its policy's decision.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Instant;

use runtime_core::task::{Ran, Task};

use super::Local;
use super::steal::Found;
use crate::counting::{add, comes_round};
use crate::policy::{GoLike, Policy, Source, WokenBy};
use crate::seam::Hooks;
use crate::seam::facts::{Event, Origin};

impl<H: Hooks> Local<H> {
    /// Works until the runtime closes, or the worker must leave.
    pub(crate) fn work<P: Policy>(&self, policy: &P) {
        while !self.shared.closed.load(Relaxed) && !H::must_leave(self) {
            H::observe(self, Event::BetweenTasks);
            let own = self.next(policy).inspect(|_| H::observe(self, Event::Took));
            if let Some(task) = own.or_else(|| self.find(policy)) {
                self.run(policy, task);
            }
        }
    }

    /// The next task of this worker's own, or an injected one. What the policy overlooks must not be lost.
    #[inline]
    fn next<P: Policy>(&self, policy: &P) -> Option<Task> {
        let (tick, knobs) = (&self.queues.tick, &self.shared.rules.knobs);
        tick.set(tick.get().wrapping_add(1));
        // Counted down: to divide the tick cost more than all else here.
        if comes_round(&self.until_poll, knobs.poll_tick) {
            H::poll_in_passing(self);
            self.fire_due(&self.remote.timers);
        }
        H::place_injected(self, policy);
        let mut task = None;
        if comes_round(&self.until_injected, knobs.injector_tick) {
            H::do_other_work(self, Origin::Outside);
            let injected = self.take(Source::Injected);
            task = injected.or_else(|| self.take(Source::Inbox));
        }
        // The rare turn first: the pinned tasks' every other one would fall on the same tick for ever.
        task.or_else(|| self.take_in_turn())
            .or_else(|| self.take_pinned_in_turn())
            .or_else(|| self.take_chosen(policy))
            .or_else(|| self.pop_any())
            .or_else(|| self.take_pinned_in_turn())
    }

    #[inline]
    fn take_chosen<P: Policy>(&self, policy: &P) -> Option<Task> {
        let source = self.ask_for_next(policy)?;
        if source != Source::Slot {
            self.slot_streak.set(0);
        }
        self.take(source)
    }

    #[inline]
    fn run<P: Policy>(&self, policy: &P, task: Task) {
        self.found();
        add(&self.remote.polls, 1);
        H::observe(self, Event::PollBegins(task.id()));
        let ran = H::poll(self, task);
        H::observe(self, Event::PollEnds);
        match ran {
            Ran::Finished => H::observe(self, Event::Finished),
            Ran::Parked => {}
            Ran::Woken(task) | Ran::Yielded(task) => {
                self.place_woken(policy, task, WokenBy::Itself);
            }
        }
    }

    /// Its own queues are empty: finds a task elsewhere, does other work, or sleeps.
    fn find<P: Policy>(&self, policy: &P) -> Option<Task> {
        H::observe(self, Event::RanOut);
        if H::do_other_work(self, Origin::Own) {
            return None;
        }
        self.search(policy).unwrap_or_else(|| {
            self.park();
            None
        })
    }

    /// Looks at everybody's queues, if not enough workers do so already.
    fn search<P: Policy>(&self, policy: &P) -> Option<Found> {
        if !self.searching.get() && !self.shared.idle.start_searching() {
            return None;
        }
        self.searching.set(true);
        // What was overlooked may be gone by now. The policy is asked before each sleep all the same.
        let look = |attempt| self.attempt(attempt);
        let everywhere = || self.ask_where_to_look(&GoLike, look);
        let found = self
            .has_overlooked
            .replace(false)
            .then(everywhere)
            .flatten();
        found.or_else(|| self.ask_where_to_look(policy, look))
    }

    /// There is something to do. The last searcher that finds something wakes the next one.
    #[inline]
    pub(crate) fn found(&self) {
        if self.searching.replace(false) && self.shared.idle.stop_searching() {
            self.shared.wake_one();
        }
    }

    /// Nothing to do: waits for a token, a socket or a timer. The README says why no wake-up is lost.
    fn park(&self) {
        let (shared, remote) = (&self.shared, &self.remote);
        let deadline = H::prepare_park(self);
        remote.asleep.store(true, Relaxed);
        let was_searching = self.searching.replace(false);
        let last_look = shared.idle.sleep(self.index(), was_searching);
        if shared.has_waiting(self.index()) || self.has_pinned() {
            // The policy, or a waker that the search called, has queued it here. Nobody else need see it.
        } else if last_look && shared.has_work_for_others() {
            self.has_overlooked.set(true);
        } else if !shared.closed.load(SeqCst) {
            H::observe(self, Event::Sleeps(Instant::now()));
            let awake_since = H::wait(self, deadline);
            H::observe(self, Event::Wakes(awake_since.unwrap_or_else(Instant::now)));
        }
        remote.timers.finish_park();
        remote.asleep.store(false, Relaxed);
        // Taken off by a waker, this worker counts as searching already. If it was not the waker's token that ended
        // the wait, the token stays behind and ends the next one at once, which does no harm.
        self.searching.set(!shared.idle.cancel_sleep(self.index()));
        self.fire_due(&remote.timers);
    }
}
