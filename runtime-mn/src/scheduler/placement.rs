//! Where a task goes, and which worker must be woken: for each spawn and each wake-up, from any thread.

use std::sync::Arc;

use runtime_core::primitives::atomic::Ordering::Relaxed;
use runtime_core::task::Task;

use super::{Local, Shared};
use crate::policy::{LifoSlot, Place, Policy, WokenBy};
use crate::seam::Hooks;
use crate::seam::facts::{Event, Pick, Queued, SharedEvent};

impl<H: Hooks> Local<H> {
    /// Queues a woken task.
    #[inline]
    pub(crate) fn place_woken<P: Policy>(&self, policy: &P, task: Task, by: WokenBy) {
        let Some(task) = H::divert(&self.shared, task) else {
            return;
        };
        let is_driven = self.in_driver.get();
        let by = if is_driven { WokenBy::Driver } else { by };
        self.put(self.ask_for_place_of_woken(policy, &task, by), task);
    }

    // Always inlined: it is part of each spawn and of each wake.
    #[inline(always)]
    pub(crate) fn put(&self, mut place: Place, mut task: Task) {
        H::observe(self, Event::Queued(task.id(), place));
        let rules = &self.shared.rules;
        if place == Place::Slot {
            place = Place::Back;
            if rules.knobs.lifo_slot != LifoSlot::Off {
                match self.remote.queues.slot.put(task) {
                    None => return,
                    Some(displaced) => task = displaced,
                }
            }
        }
        // For the tasks that the driver wakes, a sleeper is woken only once, at the end.
        let wakes = !self.in_driver.get() && rules.wakes_for[place.kind()];
        match place {
            Place::Newest => self.queues.lifo.push(task),
            Place::Slot | Place::Back => self.queues.fifo.push(task),
            Place::Shared => return self.shared.share(task, wakes),
            Place::Ranked(_) | Place::Worker(_) => match H::put(self, place, task) {
                Queued::Here => {}
                Queued::Elsewhere => return,
                Queued::Nowhere(task) => return self.shared.share(task, wakes),
            },
        }
        if wakes && rules.steals && H::wakes_for_own(self) {
            self.wake_for_own();
        }
    }

    /// Wakes a sleeper for the tasks in this worker's own queues.
    #[inline(always)]
    pub(crate) fn wake_for_own(&self) {
        if self.shared.wake_helper() {
            H::observe(self, Event::Woke);
        }
    }

    /// Call this when sockets or timers have woken tasks. This worker runs one of them. If there are more, waking a
    /// sleeper may be worthwhile.
    pub(crate) fn wake_for_driven(&self) {
        let driven = self.queues.fifo.len() + H::queued(&self.shared, self.index(), Pick::Any);
        if self.shared.rules.steals && driven > 1 && H::wakes_for_driven(self) {
            self.shared.wake_helper();
        }
        if !self.shared.injector.is_empty() {
            self.shared.wake_one();
        }
    }
}

impl<H: Hooks> Shared<H> {
    /// Queues a new task. Returns it if the runtime accepts no more tasks.
    pub(crate) fn spawn<P: Policy>(self: &Arc<Self>, policy: &P, task: Task) -> Result<(), Task> {
        if self.closed.load(Relaxed) {
            return Err(task);
        }
        if let Some(local) = Local::current(self) {
            H::observe(local, Event::Spawned);
            local.put(local.ask_for_place_of_spawned(policy, &task), task);
            return Ok(());
        }
        H::observe_shared(self, SharedEvent::SpawnedOutside);
        H::observe_shared(self, SharedEvent::Injected(task.id()));
        self.injector.push(task);
        // Either a closing sweep sees the task, or we see that the runtime has closed; see `Closed`.
        if self.closed.since_push() {
            self.cancel_queued();
        } else {
            self.wake_one();
        }
        Ok(())
    }

    /// Queues a woken task, from a non-worker thread.
    pub(crate) fn inject(self: &Arc<Self>, task: Task) {
        if let Some(task) = H::divert(self, task) {
            H::observe_shared(self, SharedEvent::Injected(task.id()));
            self.share(task, true);
        }
    }

    /// Queues a task where all workers look.
    pub(crate) fn share(&self, task: Task, wakes: bool) {
        self.injector.push(task);
        if wakes {
            self.wake_one();
        }
    }

    /// Call this when something was queued where all workers look: a worker must see it soon.
    #[inline]
    pub(crate) fn wake_one(&self) {
        if let Some(worker) = self.idle.notify_one(|| self.choose_sleeper()) {
            self.unpark(worker);
        }
    }

    /// Call this when something was put into the calling worker's own queue. Returns true if a sleeper was woken to
    /// help.
    #[inline(always)]
    pub(crate) fn wake_helper(&self) -> bool {
        let helper = self.idle.notify_helper(|| self.choose_sleeper());
        helper.inspect(|worker| self.unpark(*worker)).is_some()
    }

    /// Ends a worker's wait, wherever it waits.
    #[cold]
    pub(crate) fn unpark(&self, worker: usize) {
        H::observe_shared(self, SharedEvent::Unparks(worker));
        self.remotes[worker].asleep.store(false, Relaxed);
        self.remotes[worker].waking.unpark(Some(&self.reactor));
    }
}
