//! Where a task goes, and who must be told: for each spawn and each wake-up, from any thread.
#![allow(unsafe_code)]

use std::alloc::Layout;
use std::any::Any;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::Arc;

use runtime_core::context::Refused;
use runtime_core::primitives::atomic::Ordering::Relaxed;
use runtime_core::task::{Schedule, SchedulerArc, SchedulerRef, Task};

use super::{Event, Hooks, Local, Shared, SharedEvent};
use crate::knobs::LifoSlot;
use crate::policy::{Place, Policy, WokenBy, WorkerView};

/// What tasks are bound to: the policy, and the state that all threads share.
pub(crate) struct Scheduler<P: Policy, H: Hooks> {
    policy: ManuallyDrop<P>,
    pub(crate) shared: Arc<Shared<H>>,
}

impl<P: Policy, H: Hooks> Drop for Scheduler<P, H> {
    fn drop(&mut self) {
        // SAFETY: it is not used again.
        let policy = unsafe { ManuallyDrop::take(&mut self.policy) };
        // This may be a worker's thread, which must not be unwound by the policy's destructor.
        catch_unwind(AssertUnwindSafe(|| drop(policy))).unwrap_or_else(dispose);
    }
}

impl<P: Policy, H: Hooks> Scheduler<P, H> {
    pub(crate) fn new(policy: P, shared: Arc<Shared<H>>) -> Self {
        Self {
            policy: ManuallyDrop::new(policy),
            shared,
        }
    }

    #[inline]
    pub(crate) fn policy(&self) -> &P {
        &self.policy
    }

    /// Queues a new task, unless the runtime takes none any more.
    pub(crate) fn launch(&self, task: Task) -> Result<(), Refused> {
        let shared = &self.shared;
        if shared.closed.load(Relaxed) {
            return Err(Refused { task, error: None });
        }
        if let Some(local) = Local::current(shared) {
            H::observe(local, Event::Spawned);
            local.place_spawned(self.policy(), task);
            return Ok(());
        }
        H::observe_shared(shared, SharedEvent::SpawnedOutside);
        shared.queues.injector.push(task);
        // Either a closing sweep sees the task, or we see that there was one; see `Closed`.
        if shared.closed.since_push() {
            shared.cancel_queued();
        } else {
            shared.wake_one();
        }
        Ok(())
    }
}

// SAFETY: memory is from the arena, or from a cache over it.
unsafe impl<P: Policy, H: Hooks> Schedule for Scheduler<P, H> {
    #[inline]
    fn schedule(this: &SchedulerArc<Self>, task: Task) {
        match Local::current(&this.shared) {
            Some(local) => local.place_woken(this.policy(), task, WokenBy::Task),
            None => this.shared.inject(task),
        }
    }

    #[inline]
    fn allocate(this: &SchedulerArc<Self>, layout: Layout) -> (NonNull<u8>, SchedulerRef) {
        let arena = &this.shared.arena;
        match Local::current(&this.shared) {
            Some(local) => local.blocks.borrow_mut().allocate(arena, this, layout),
            None => (arena.allocate(layout), this.erase()),
        }
    }

    #[inline]
    unsafe fn deallocate(this: SchedulerArc<Self>, block: NonNull<u8>, layout: Layout) {
        let Some(local) = Local::current(&this.shared) else {
            // SAFETY: by this function's contract.
            return unsafe { this.shared.arena.deallocate(block, layout) };
        };
        // By way of the worker's own reference, as the task's is given away.
        let arena = &local.shared.arena;
        let mut blocks = local.blocks.borrow_mut();
        // SAFETY: by this function's contract.
        unsafe { blocks.deallocate(arena, this, block, layout) };
    }
}

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
