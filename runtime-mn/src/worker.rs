//! A worker's life: what runs next, when to search, when to sleep. Where it looks is its policy's decision.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use runtime_core::context::{self, Ambient, Role};
use runtime_core::primitives::spin_loop;
use runtime_core::task::{SchedulerArc, Task};

use crate::fork_join::{JobRef, Mark};
use crate::local::Local;
use crate::policy::{GoLike, Policy, SearchView, Source, WorkerView};
use crate::queues::{Work, retry};
use crate::remote::Remote;
use crate::scheduler::Scheduler;
use crate::shared::Shared;

/// How long the last worker waits at a time for a waker elsewhere to queue the task that it has marked.
const FOREIGN_WAKER: Duration = Duration::from_millis(1);

pub(crate) struct Worker<P: Policy> {
    scheduler: SchedulerArc<Scheduler<P>>,
    local: Local,
    /// There was work when this worker was about to sleep, and its policy's search had not found it.
    has_overlooked: Cell<bool>,
}

/// Why a worker's thread ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    WithTheRuntime,
    /// A spare worker that was not needed for a while. Another thread may be its next.
    ForWantOfWork,
}

/// A panic of the scheduler's own, not of a task, must not leave a runtime that has lost a worker.
struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        // Under shuttle the test reports it, with the seed.
        if thread::panicking() && !cfg!(lab_shuttle) {
            eprintln!("a worker of the M:N scheduler panicked outside of any task: this is a bug");
            std::process::abort();
        }
    }
}

impl<P: Policy> Worker<P> {
    pub(crate) fn new(scheduler: SchedulerArc<Scheduler<P>>, local: Local) -> Self {
        Self {
            scheduler,
            local,
            has_overlooked: Cell::new(false),
        }
    }

    /// The whole life of a worker's thread.
    pub(crate) fn main(self, ambient: Arc<dyn Ambient>) {
        let _abort = AbortOnUnwind;
        self.shared().own_this_thread();
        let entered = context::enter(ambient, Role::Worker);
        let mut ended = Ended::WithTheRuntime;
        let live = || {
            self.remote().observed.set_thread();
            if self.is_spare() {
                ended = self.stand_in();
            } else {
                self.work();
            }
            if ended == Ended::WithTheRuntime {
                self.end();
            }
        };
        self.scheduler.erased().serve(|| self.local.enter(live));
        drop(entered);
        let shared = Arc::clone(self.shared());
        if ended == Ended::ForWantOfWork {
            let index = self.local.index;
            let parts = self.local.into_parts(&self.scheduler);
            shared.monitor.give_parts(index, parts);
        }
        shared.thread_ended();
    }

    #[inline]
    fn shared(&self) -> &Arc<Shared> {
        &self.local.shared
    }

    #[inline]
    fn policy(&self) -> &P {
        self.scheduler.policy()
    }

    fn remote(&self) -> &Remote {
        self.local.remote()
    }

    fn is_spare(&self) -> bool {
        self.local.index >= self.shared().workers
    }

    /// Works until the runtime closes; a spare worker, until it is not needed any more.
    fn work(&self) {
        let is_spare = self.is_spare();
        while !self.shared().closed.load(Relaxed) {
            if is_spare && self.shared().monitor.retire_surplus() {
                return;
            }
            self.local.tell_of_waiting();
            if let Some(task) = self.next() {
                self.found();
                self.local.took_one();
                self.local.run(self.policy(), task);
                continue;
            }
            if self.local.drive_for_more() {
                continue;
            }
            self.local.ran_out();
            if let Some(job) = self.local.closures.pop_since(Mark::BOTTOM) {
                self.found();
                self.run_closures(job);
            } else if let Some(found) = self.search() {
                self.found();
                match found {
                    Work::Task(task) => self.local.run(self.policy(), task),
                    Work::Closure(job) => self.run_closures(job),
                }
            } else {
                self.park();
            }
        }
    }

    /// Runs closures outside of any poll.
    fn run_closures(&self, first: JobRef) {
        let remote = self.remote();
        let outer = remote.enter_closure();
        self.local.run_stolen(first);
        remote.leave_poll(outer);
    }

    /// A spare worker's life: it waits until a worker is stuck, takes its place, and waits again, but not for ever.
    fn stand_in(&self) -> Ended {
        let monitor = &self.shared().monitor;
        while !self.shared().closed.load(Relaxed) {
            if let Some(stuck) = self.remote().observed.take_assignment() {
                self.local.take_over(stuck);
                self.work();
                self.found();
                self.local.give_away();
                self.remote().observed.stands_in.store(false, Relaxed);
                monitor.retired(self.local.index);
                self.shared().one_less_to_wait_for();
                continue;
            }
            let patience = Instant::now().checked_add(monitor.spare_keep_alive);
            let counters = &self.remote().counters;
            counters.asleep_from(self.shared().now_ns());
            let was_called = self.local.parker.park(patience);
            counters.awake_from(self.shared().now_ns());
            if !was_called && monitor.strike_off(self.local.index) {
                if self.shared().one_worker_less() {
                    return Ended::ForWantOfWork;
                }
                break;
            }
        }
        Ended::WithTheRuntime
    }

    /// The next task of this worker's own, or an injected one.
    #[inline]
    fn next(&self) -> Option<Task> {
        let knobs = &self.shared().knobs;
        let tick = self.local.tick.get().wrapping_add(1);
        self.local.tick.set(tick);
        // Counted down: to divide the tick cost more than all else here.
        if comes_round(&self.local.until_poll, knobs.poll_tick) {
            self.local.drive_without_waiting();
        }
        if comes_round(&self.local.until_injected, knobs.injector_tick) {
            // Closures that were forked outside have their turn, too.
            if let Some(job) = retry(|| self.shared().job_injector.steal()) {
                self.found();
                self.run_closures(job);
            }
            if let Some(task) = self.local.take_injected() {
                return Some(task);
            }
        }
        if let Some(task) = self.local.take_in_turn() {
            return Some(task);
        }
        let view = WorkerView(&self.local);
        if let Some(Some(source)) = self.local.ask(|| self.policy().next(&view)) {
            if source != Source::Slot {
                self.local.slot_streak.set(0);
            }
            if let Some(task) = self.local.take(source) {
                return Some(task);
            }
        }
        // What the policy overlooks must not be lost.
        self.local.take_own()
    }

    /// Looks at everybody's queues, if not enough workers do so already.
    fn search(&self) -> Option<Work> {
        let idle = &self.shared().idle;
        if !self.local.searching.get() {
            if !idle.start_searching() {
                return None;
            }
            self.local.searching.set(true);
        }
        if self.has_overlooked.replace(false) {
            return self.look(&GoLike);
        }
        for _ in 0..self.shared().knobs.spin {
            if let Some(found) = self.look(self.policy()) {
                return Some(found);
            }
            if self.shared().closed.load(Relaxed) {
                return None;
            }
            for _ in 0..64 {
                spin_loop();
            }
        }
        self.look(self.policy())
    }

    /// Looks for work where that policy says, in its order, once.
    fn look<Q: Policy>(&self, policy: &Q) -> Option<Work> {
        let local = &self.local;
        let view = SearchView(local);
        let mut order = local.ask(|| policy.search(&view))?;
        let mut found = None;
        // An order may have no end.
        for _ in 0..4 * view.workers() + 8 {
            let Some(Some(attempt)) = local.ask(|| order.next()) else {
                break;
            };
            found = local.attempt(attempt);
            if found.is_some() {
                break;
            }
        }
        // Its destructor is the policy's, too.
        let _ = local.ask(|| drop(order));
        found
    }

    /// There is something to run. The last searcher that finds something wakes the next one.
    #[inline]
    fn found(&self) {
        if self.local.searching.replace(false) && self.shared().idle.stop_searching() {
            self.shared().notify_one();
        }
    }

    /// Nothing to do: waits for a token, a socket or a timer. See the README of `idle`.
    fn park(&self) {
        let shared = self.shared();
        let timers = &self.remote().timers;
        let deadline = if shared.clock.is_simulated() {
            // Another worker may fire it, and then nothing would end this worker's park.
            timers.prepare_untimed_park();
            None
        } else {
            timers.prepare_park()
        };
        let was_searching = self.local.searching.replace(false);
        let last_look = shared.idle.sleep(self.local.index, was_searching);
        if self.remote().has_waiting() {
            // The policy, or a waker that the search called, has queued it here. Nobody else need see it.
        } else if last_look && shared.has_work_for_others() {
            self.has_overlooked.set(true);
        } else if !shared.closed.load(SeqCst) {
            self.local.wait(deadline);
        }
        timers.finish_park();
        // Taken off by a teller, this worker counts as searching already. If it was not the teller's token that ended
        // the wait, the token stays behind and ends the next one at once, which does no harm.
        let taken_off = !shared.idle.cancel_sleep(self.local.index);
        self.local.searching.set(taken_off);
        self.local.fire_due();
    }

    /// Cancels what this worker has queued; the last worker, all that is left.
    fn end(&self) {
        self.found();
        let shared = self.shared();
        shared.closed.before_drain();
        self.local.cancel_queued();
        shared.sweep();
        if shared.is_last_to_end() {
            // A task may be woken, or marked by a waker elsewhere, while another one is dropped: until a walk finds
            // none.
            while shared.sweep() > 0 {
                self.local.parker.park(Some(Instant::now() + FOREIGN_WAKER));
            }
        }
        let mut blocks = self.local.blocks.borrow_mut();
        blocks.flush(&shared.arena, &self.scheduler);
    }
}

/// Counts down from `period`, again and again. True every `period` calls.
#[inline]
fn comes_round(countdown: &Cell<u32>, period: u32) -> bool {
    let left = countdown.get() - 1;
    countdown.set(if left == 0 { period } else { left });
    left == 0
}
