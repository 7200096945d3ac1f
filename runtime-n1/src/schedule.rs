//! Where a spawned or woken task is queued: on the loop's thread in the loop's own queue, on other threads in the
//! shared one. Also where its memory comes from.
#![allow(unsafe_code)]

use std::alloc::Layout;
use std::ptr::NonNull;

use runtime_kernel::context::Refused;
use runtime_kernel::task::{Schedule, SchedulerArc, SchedulerRef, Task};
use runtime_kernel::thread_stack::in_the_middle;

use crate::local::Local;
use crate::shared::Shared;

/// Queues a new task, unless the loop no longer accepts any.
pub(crate) fn launch(shared: &SchedulerArc<Shared>, task: Task) -> Result<(), Refused> {
    match Local::current(shared) {
        Some(local) => local.launch(task),
        None => shared.launch_remote(task),
    }
}

// SAFETY: memory is from the arena, or from a cache over it.
unsafe impl Schedule for Shared {
    fn schedule(this: &SchedulerArc<Self>, task: Task) {
        match Local::current(this) {
            Some(local) => local.push(task),
            None => this.push_remote(task),
        }
    }

    fn allocate(this: &SchedulerArc<Self>, layout: Layout) -> (NonNull<u8>, SchedulerRef) {
        let _middle = in_the_middle();
        match Local::current(this) {
            Some(local) => {
                let mut blocks = local.blocks.borrow_mut();
                blocks.allocate(&this.arena, this, layout)
            }
            None => (this.arena.allocate(layout), this.erase()),
        }
    }

    unsafe fn deallocate(this: SchedulerArc<Self>, block: NonNull<u8>, layout: Layout) {
        let _middle = in_the_middle();
        let Some(local) = Local::current(&this) else {
            // SAFETY: by this function's contract.
            return unsafe { this.arena.deallocate(block, layout) };
        };
        // Through the loop's own reference, because the task's reference is passed on.
        let arena = &local.shared.arena;
        let mut blocks = local.blocks.borrow_mut();
        // SAFETY: by this function's contract.
        unsafe { blocks.deallocate(arena, this, block, layout) };
    }
}
