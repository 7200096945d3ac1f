//! Where a task goes, and who must be told: for each spawn and each wake-up, from any thread.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use runtime_core::context::Refused;
use runtime_core::primitives::atomic::Ordering::Relaxed;
use runtime_core::primitives::thread_local;
use runtime_core::task::Task;

use super::queues::{BATCH_LIMIT, retry};
use super::{Local, Shared};
use crate::policy::view::{Shown, Sleepers};
use crate::policy::{LifoSlot, Place, Policy, SleeperView, WokenBy};
use crate::seam::Hooks;
use crate::seam::facts::{Duty, Event, SharedEvent};

impl<H: Hooks> Local<H> {
    /// A task that is due again.
    #[inline]
    pub(crate) fn place_woken<P: Policy>(&self, policy: &P, task: Task, by: WokenBy) {
        let Some(task) = H::divert(&self.shared, task) else {
            return;
        };
        let by = if self.in_driver.get() {
            WokenBy::Driver
        } else {
            by
        };
        let place = self.ask(|| policy.place_woken(&Shown::task(&self.queues, &task).view(), by));
        self.put(place.unwrap_or(Place::Back), task);
    }

    /// A new task.
    #[inline]
    fn place_spawned<P: Policy>(&self, policy: &P, task: Task) {
        let place = self.ask(|| policy.place_spawned(&Shown::task(&self.queues, &task).view()));
        self.put(place.unwrap_or(Place::Newest), task);
    }

    /// Takes tasks out of the injector and puts them where the policy says.
    #[cold]
    pub(crate) fn place_injected<P: Policy>(&self, policy: &P) {
        // What comes back meanwhile waits for the next time.
        for _ in 0..BATCH_LIMIT.min(self.queues.all.injector.len()) {
            let Some(task) = retry(|| self.queues.all.injector.steal()) else {
                break;
            };
            let place =
                self.ask(|| policy.place_injected(&Shown::task(&self.queues, &task).view()));
            // Back into the injector would be without end.
            let place = place.filter(|place| *place != Place::Shared);
            self.put(place.unwrap_or(Place::Back), task);
        }
    }

    // Always: it is part of each spawn and of each wake.
    #[inline(always)]
    fn put(&self, mut place: Place, mut task: Task) {
        H::observe(self, Event::Queued(task.id(), place));
        if place == Place::Slot {
            place = Place::Back;
            if self.shared.knobs.lifo_slot != LifoSlot::Off {
                match self.queues.slot().put(task) {
                    None => return,
                    Some(displaced) => task = displaced,
                }
            }
        }
        // What the driver wakes is told about all together, when it is done.
        let wakes = !self.in_driver.get() && self.shared.wakes_for[place.kind()];
        match place {
            Place::Newest => self.queues.lifo.push(task),
            Place::Slot | Place::Back => self.queues.fifo.push(task),
            Place::Shared => {
                self.shared.queues.injector.push(task);
                if wakes {
                    self.shared.wake_one();
                }
                return;
            }
            Place::Ranked(rank) => self.queues.shared.ranked.push(rank, task),
            Place::Worker(worker) if worker != self.index() => {
                if self.shared.send_to(worker, task) {
                    return;
                }
            }
            Place::Worker(_) => self.queues.shared.inbox.push(task),
        }
        if wakes && self.shared.steals && H::wakes_for_own(self) {
            self.wake_for_own();
        }
    }

    /// Wakes a sleeper for what lies in this worker's own queues.
    #[inline]
    pub(crate) fn wake_for_own(&self) {
        if self.shared.wake_helper() {
            H::observe(self, Event::Woke);
        }
    }

    /// Sockets or timers have woken tasks. One is this worker's to run; more may be worth waking a sleeper.
    pub(crate) fn wake_for_driven(&self) {
        let driven = self.queues.fifo.len() + self.queues.shared.ranked.len();
        if self.shared.steals && driven > 1 && H::wakes_for_driven(self) {
            self.shared.wake_helper();
        }
        if !self.shared.queues.injector.is_empty() {
            self.shared.wake_one();
        }
    }

    /// What the policy answers. `None`: it has panicked, or what it did while it was asked leads to another question;
    /// the caller takes the default.
    ///
    /// A question is asked before the caller changes anything, so that a panic interrupts nothing. Nothing is unwound
    /// where a policy can't panic: then this is a plain call.
    #[inline]
    pub(crate) fn ask<T>(&self, question: impl FnOnce() -> T) -> Option<T> {
        if self.is_asking.replace(true) {
            return None;
        }
        // The payload's destructor is the policy's code, too.
        let answer = catch_unwind(AssertUnwindSafe(question))
            .map_err(dispose)
            .ok();
        self.is_asking.set(false);
        answer
    }
}

impl<H: Hooks> Shared<H> {
    /// Queues a new task, unless the runtime takes none any more.
    pub(crate) fn launch<P: Policy>(
        self: &Arc<Self>,
        policy: &P,
        task: Task,
    ) -> Result<(), Refused> {
        if self.closed.load(Relaxed) {
            return Err(Refused { task, error: None });
        }
        if let Some(local) = Local::current(self) {
            H::observe(local, Event::Spawned);
            local.place_spawned(policy, task);
            return Ok(());
        }
        H::observe_shared(self, SharedEvent::SpawnedOutside);
        H::observe_shared(self, SharedEvent::Injected(task.id()));
        self.queues.injector.push(task);
        // Either a closing sweep sees the task, or we see that there was one; see `Closed`.
        if self.closed.since_push() {
            self.cancel_queued();
        } else {
            self.wake_one();
        }
        Ok(())
    }

    /// Queues a task that is due again, from a thread that is no worker.
    pub(crate) fn inject(self: &Arc<Self>, task: Task) {
        if let Some(task) = H::divert(self, task) {
            H::observe_shared(self, SharedEvent::Injected(task.id()));
            self.queues.injector.push(task);
            self.wake_one();
        }
    }

    /// Sends a task to another worker. True: that is all. False: it lies in the inbox of a worker that is awake, where
    /// others may take it.
    #[cold]
    fn send_to(&self, worker: usize, task: Task) -> bool {
        let is_away = || H::duty(self, worker) == Duty::Away;
        if worker >= self.workers || is_away() {
            self.queues.injector.push(task);
            self.wake_one();
            return true;
        }
        let inbox = &self.queues.active()[worker].inbox;
        inbox.push(task);
        if self.idle.notify_worker(worker) {
            self.wakes(worker);
            return true;
        }
        // The fence of `notify_worker` lies between: either this is seen here, or whoever hands the worker's queues
        // over sees the task.
        if is_away() {
            while let Some(task) = retry(|| inbox.steal()) {
                self.queues.injector.push(task);
            }
            self.wake_one();
            return true;
        }
        false
    }

    /// Something was put where all look: a worker must see it soon.
    #[inline]
    pub(crate) fn wake_one(&self) {
        if let Some(worker) = self.idle.notify_one(|| self.choose_sleeper()) {
            self.wakes(worker);
        }
    }

    /// Which sleeper the policy has woken. It is not asked about what happens while it is asked.
    #[cold]
    fn choose_sleeper(&self) -> Option<usize> {
        let sleepers = Sleepers {
            queues: &self.queues,
            teller: Local::current_index(self),
        };
        self.starter()?.choose_sleeper(&SleeperView::new(&sleepers))
    }

    fn wakes(&self, worker: usize) {
        self.queues.active()[worker].asleep.store(false, Relaxed);
        self.unpark(worker);
    }

    /// Something was put into the calling worker's own queue. True if a sleeper was woken to help.
    #[inline]
    pub(crate) fn wake_helper(&self) -> bool {
        let helper = self.idle.notify_helper(|| self.choose_sleeper());
        helper.inspect(|worker| self.wakes(*worker)).is_some()
    }
}

thread_local! {
    /// A policy is being asked whom to wake.
    static CHOOSES: Cell<bool> = const { Cell::new(false) };
}

/// Asks a policy which sleeper is woken, on whatever thread. `None`: it has panicked, or it is being asked already.
pub(crate) fn ask_for_sleeper<P: Policy>(policy: &P, sleepers: &SleeperView<'_>) -> Option<usize> {
    if CHOOSES
        .try_with(|chooses| chooses.replace(true))
        .unwrap_or(true)
    {
        return None;
    }
    let chosen = catch_unwind(AssertUnwindSafe(|| policy.wake(sleepers)));
    CHOOSES.set(false);
    chosen.map_err(dispose).ok().flatten()
}

/// The panic hook has reported it. Its destructor may panic, too.
#[cold]
pub(crate) fn dispose(payload: Box<dyn Any + Send>) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(another);
    }
}
