//! A worker's loop: what runs next, when to search, when to sleep. Its policy decides where it searches.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use runtime_core::primitives::now;
use runtime_core::task::{Ran, Task};

use super::Local;
use super::steal::Found;
use crate::counting::{add, is_nth_call};
use crate::policy::{Policy, Source, WokenBy};
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

    /// The next task from this worker's own queues, or an injected one. Tasks that the policy overlooks must not be
    /// lost.
    #[inline]
    fn next<P: Policy>(&self, policy: &P) -> Option<Task> {
        let (tick, knobs) = (&self.queues.tick, &self.shared.rules.knobs);
        tick.set(tick.get().wrapping_add(1));
        // Counted down, because dividing the tick cost more than everything else here.
        if is_nth_call(&self.until_poll, knobs.poll_tick) {
            H::poll_in_passing(self);
            self.fire_due(&self.remote.timers);
        }
        H::place_injected(self, policy);
        let mut task = None;
        if is_nth_call(&self.until_injected, knobs.injector_tick) {
            H::do_other_work(self, Origin::Outside);
            let injected = self.take(Source::Injected);
            task = injected.or_else(|| self.take(Source::Inbox));
        }
        // The rare turn comes first: otherwise a part's own task, which may come every other time, could always take
        // its ticks.
        task.or_else(|| self.take_in_turn())
            .or_else(|| H::take_kept(self))
            .or_else(|| self.take_chosen(policy))
            .or_else(|| self.pop_any())
            .or_else(|| H::take_kept(self))
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

    /// The worker's own queues are empty: it finds a task elsewhere, does other work, or sleeps.
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

    /// Searches all queues, unless enough workers already do so.
    fn search<P: Policy>(&self, policy: &P) -> Option<Found> {
        if !self.searching.get() && !self.shared.idle.start_searching() {
            return None;
        }
        self.searching.set(true);
        self.search_as_policy_says(policy)
    }

    /// Call this when there is something to do. If the worker was the last searcher, it wakes the next one.
    #[inline]
    pub(crate) fn found(&self) {
        if self.searching.replace(false) && self.shared.idle.stop_searching() {
            self.shared.wake_one();
        }
    }

    /// Call this when there is nothing to do. It waits for a token, a socket or a timer. The README says why no
    /// wake-up is lost.
    fn park(&self) {
        let (shared, remote) = (&self.shared, &self.remote);
        let deadline = H::prepare_park(self);
        remote.asleep.store(true, Relaxed);
        let was_searching = self.searching.replace(false);
        let last_look = shared.idle.sleep(self.index(), was_searching);
        if shared.has_waiting(self.index()) || H::has_kept(self) {
            // The policy, or a waker that the search called, has queued a task here. No other worker needs to see it.
        } else if last_look && shared.has_work_for_others() {
            self.has_overlooked.set(true);
        } else if !shared.closed.load(SeqCst) {
            H::observe(self, Event::Sleeps(now()));
            let awake_since = H::wait(self, deadline);
            H::observe(self, Event::Wakes(awake_since.unwrap_or_else(now)));
        }
        remote.timers.finish_park();
        remote.asleep.store(false, Relaxed);
        // If a waker took it off the stack, this worker already counts as searching. If something else than the
        // waker's token ended the wait, the token stays and ends the next wait at once, which does no harm.
        self.searching.set(!shared.idle.cancel_sleep(self.index()));
        self.fire_due(&remote.timers);
    }
}
