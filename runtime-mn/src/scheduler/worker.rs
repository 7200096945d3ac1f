//! A worker's life: what runs next, when to search, when to sleep. Where it looks is its policy's decision.

use std::any::TypeId;
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Instant;
use std::{mem, ptr};

use runtime_core::context::{self, Ambient, Role};
use runtime_core::task::{Ran, SchedulerArc, Task, home};

use super::pinned::OwnPinned;
use super::steal::Found;
use super::{Local, Shared, Unstarted, add};
use crate::binding::Scheduler;
use crate::current;
use crate::ending::own_this_thread;
use crate::policy::view::Shown;
use crate::policy::{GoLike, Policy, Source, WokenBy};
use crate::seam::Hooks;
use crate::seam::facts::{Ended, Event, Origin};

pub(crate) struct Worker<P: Policy, H: Hooks> {
    scheduler: SchedulerArc<Scheduler<P, H>>,
    local: Local<H>,
    /// There was work when this worker was about to sleep, and its policy's search had not found it.
    has_overlooked: Cell<bool>,
}

/// A panic of the scheduler's own, not of a task, must not leave a runtime that has lost a worker.
struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        // Under shuttle the test reports it, with the seed.
        if !cfg!(lab_shuttle) {
            eprintln!("a worker of the M:N scheduler panicked outside of any task: this is a bug");
            std::process::abort();
        }
    }
}

impl<P: Policy, H: Hooks> Worker<P, H> {
    pub(crate) fn new(scheduler: SchedulerArc<Scheduler<P, H>>, worker: Unstarted) -> Self {
        let local = Local::new(Arc::clone(&scheduler.shared), worker);
        Self {
            scheduler,
            local,
            has_overlooked: Cell::new(false),
        }
    }

    /// The whole life of a worker's thread.
    pub(crate) fn main(self, ambient: Arc<dyn Ambient>) {
        let abort = AbortOnUnwind;
        own_this_thread(Arc::as_ptr(self.shared()));
        home::set_worker(u32::try_from(self.local.index() + 1).expect("few workers"));
        let entered = context::enter(ambient, Role::Worker);
        let mut ended = Ended::WithTheRuntime;
        let live = || {
            ended = H::live(&self.local, &|| self.work());
            if ended == Ended::WithTheRuntime {
                self.local.end();
                let mut blocks = self.local.blocks.borrow_mut();
                blocks.flush(&self.shared().arena, &self.scheduler);
            }
        };
        self.scheduler.erased().serve(|| self.local.enter(live));
        drop(entered);
        let shared = Arc::clone(self.shared());
        if ended == Ended::Idle {
            let Local {
                queues,
                parker,
                blocks,
                parts,
                ..
            } = self.local;
            // Another thread may begin as soon as it is taken back.
            drop(parts);
            blocks.into_inner().flush(&shared.arena, &self.scheduler);
            H::take_back(&shared, Unstarted { queues, parker });
        }
        shared.threads.one_ended();
        // Not by `thread::panicking`: a stack that was left while it was unwound makes the thread count as panicking.
        mem::forget(abort);
    }

    #[inline]
    fn shared(&self) -> &Arc<Shared<H>> {
        &self.local.shared
    }

    #[inline]
    fn policy(&self) -> &P {
        self.scheduler.policy()
    }

    /// Works until the runtime closes, or the worker must leave.
    fn work(&self) {
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
        let (local, knobs) = (&self.local, &self.shared().knobs);
        local
            .queues
            .tick
            .set(local.queues.tick.get().wrapping_add(1));
        // Counted down: to divide the tick cost more than all else here.
        if comes_round(&local.until_poll, knobs.poll_tick) {
            local.drive_in_passing();
        }
        if P::PLACES_INJECTED && !local.queues.all.injector.is_empty() {
            local.place_injected(self.policy());
        }
        if comes_round(&local.until_injected, knobs.injector_tick) {
            H::do_other_work(local, Origin::Outside);
            let injected = local.take(Source::Injected);
            if let Some(task) = injected.or_else(|| local.take(Source::Inbox)) {
                return Some(task);
            }
        }
        if let Some(task) = local.take_pinned_in_turn().or_else(|| local.take_in_turn()) {
            return Some(task);
        }
        let shown = Shown::worker(&local.queues);
        if let Some(Some(source)) = local.ask(|| self.policy().next(&shown.view())) {
            if source != Source::Slot {
                local.slot_streak.set(0);
            }
            if let Some(task) = local.take(source) {
                return Some(task);
            }
        }
        // What the policy overlooks must not be lost.
        let any = local.queues.pop_any();
        any.or_else(|| local.take_pinned_in_turn())
    }

    #[inline]
    fn run(&self, task: Task) {
        let local = &self.local;
        add(&local.remote().polls, 1);
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
        let shown = Shown::worker(&local.queues);
        let view = shown.search_view();
        if Q::PLACES_INJECTED {
            local.place_injected(policy);
            if let Some(task) = local.queues.pop_any() {
                return Some(Found::Task(task));
            }
        }
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

    /// Nothing to do: waits for a token, a socket or a timer. The README says why no wake-up is lost.
    fn park(&self) {
        let (shared, local) = (self.shared(), &self.local);
        let timers = &local.remote().timers;
        let deadline = if H::has_own_time(shared) {
            // Another worker may fire it, and then nothing would end this worker's park.
            timers.prepare_untimed_park();
            None
        } else {
            timers.prepare_park()
        };
        let was_searching = local.searching.replace(false);
        let asleep = &local.queues.shared.asleep;
        asleep.store(true, Relaxed);
        let last_look = shared.idle.sleep(local.index(), was_searching);
        if local.queues.shared.has_waiting() || local.has_pinned() {
            // The policy, or a waker that the search called, has queued it here. Nobody else need see it.
        } else if last_look && shared.has_work_for_others() {
            self.has_overlooked.set(true);
        } else if !shared.closed.load(SeqCst) {
            local.wait(deadline);
        }
        timers.finish_park();
        // Taken off by a waker, this worker counts as searching already. If it was not the waker's token that ended
        // the wait, the token stays behind and ends the next one at once, which does no harm.
        local
            .searching
            .set(!shared.idle.cancel_sleep(local.index()));
        local.fire_due();
    }
}

impl<H: Hooks> Local<H> {
    fn new(shared: Arc<Shared<H>>, worker: Unstarted) -> Self {
        Self {
            in_driver: Cell::new(false),
            until_poll: Cell::new(shared.knobs.poll_tick),
            polls_left_out: Cell::new(0),
            has_more_io: Cell::new(false),
            until_injected: Cell::new(shared.knobs.injector_tick),
            parts: H::local(&shared, worker.queues.index),
            remote: Arc::clone(&shared.remotes[worker.queues.index]),
            shared,
            queues: worker.queues,
            parker: worker.parker,
            pinned: OwnPinned::default(),
            blocks: RefCell::default(),
            is_asking: Cell::new(false),
            searching: Cell::new(false),
            slot_streak: Cell::new(0),
        }
    }

    /// Calls `body` with this as the calling thread's worker.
    fn enter(&self, body: impl FnOnce()) {
        let runtime = Arc::as_ptr(&self.shared).cast();
        current::enter(
            ptr::from_ref(self).cast(),
            runtime,
            TypeId::of::<H>(),
            || {
                H::observe(self, Event::Wakes(Instant::now()));
                body();
            },
        );
    }

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
        let mut active = self.queues.active().iter().enumerate();
        self.has_injected()
            || self.steals
                && active.any(|(index, queues)| {
                    queues.has_work(H::shares_fifo(self, index))
                        || H::has_other_work(self, Origin::Worker(index))
                })
    }

    pub(crate) fn has_injected(&self) -> bool {
        !self.queues.injector.is_empty() || H::has_other_work(self, Origin::Outside)
    }
}

/// Counts down from `period`, again and again. True every `period` calls.
#[inline]
fn comes_round(countdown: &Cell<u32>, period: u32) -> bool {
    let left = countdown.get() - 1;
    countdown.set(if left == 0 { period } else { left });
    left == 0
}
