//! Where a task goes, and who must be told: for each spawn and each wake-up, from any thread.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use runtime_core::context::Refused;
use runtime_core::primitives::atomic::Ordering::Relaxed;
use runtime_core::task::Task;

use super::{Local, Shared};
use crate::knobs::LifoSlot;
use crate::policy::{Place, Policy, WokenBy, WorkerView};
use crate::seam::Hooks;
use crate::seam::facts::{Event, SharedEvent};

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
        let place = self.ask(|| policy.place_woken(&WorkerView(&self.queues), by));
        self.put(place.unwrap_or(Place::Back), task);
    }

    /// A new task.
    #[inline]
    fn place_spawned<P: Policy>(&self, policy: &P, task: Task) {
        let place = self.ask(|| policy.place_spawned(&WorkerView(&self.queues)));
        self.put(place.unwrap_or(Place::Newest), task);
    }

    // Always: it is part of each spawn and of each wake.
    #[inline(always)]
    fn put(&self, mut place: Place, mut task: Task) {
        H::observe(self, Event::Queued(task.id()));
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
        let wakes = !self.in_driver.get() && self.shared.wakes_for[place as usize];
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
        if self.shared.steals && self.queues.fifo.len() > 1 && H::wakes_for_driven(self) {
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
            self.queues.injector.push(task);
            self.wake_one();
        }
    }

    /// Something was put where all look: a worker must see it soon.
    #[inline]
    pub(crate) fn wake_one(&self) {
        if let Some(worker) = self.idle.notify_one() {
            self.unpark(worker);
        }
    }

    /// Something was put into the calling worker's own queue. True if a sleeper was woken to help.
    #[inline]
    pub(crate) fn wake_helper(&self) -> bool {
        let helper = self.idle.notify_helper();
        helper.inspect(|worker| self.unpark(*worker)).is_some()
    }
}

/// The panic hook has reported it. Its destructor may panic, too.
#[cold]
pub(crate) fn dispose(payload: Box<dyn Any + Send>) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(another);
    }
}
