//! The scheduler as the task cells see it: tasks are bound to it.
#![allow(unsafe_code)]

use std::alloc::Layout;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::Arc;

use runtime_core::task::{Schedule, SchedulerArc, SchedulerRef, Task};
use runtime_core::thread_stack::in_the_middle;

use crate::policy::asking::dispose;
use crate::policy::{Policy, WokenBy};
use crate::scheduler::{Local, Shared};
use crate::seam::Hooks;

/// The policy, and the state that all threads share.
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
        let _middle = in_the_middle();
        let arena = &this.shared.arena;
        match Local::current(&this.shared) {
            Some(local) => local.blocks.borrow_mut().allocate(arena, this, layout),
            None => (arena.allocate(layout), this.erase()),
        }
    }

    #[inline]
    unsafe fn deallocate(this: SchedulerArc<Self>, block: NonNull<u8>, layout: Layout) {
        let _middle = in_the_middle();
        let Some(local) = Local::current(&this.shared) else {
            // SAFETY: by this function's contract.
            return unsafe { this.shared.arena.deallocate(block, layout) };
        };
        // Through the worker's own reference, because the task's reference is passed on.
        let arena = &local.shared.arena;
        let mut blocks = local.blocks.borrow_mut();
        // SAFETY: by this function's contract.
        unsafe { blocks.deallocate(arena, this, block, layout) };
    }
}
