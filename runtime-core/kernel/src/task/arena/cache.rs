//! A worker's own blocks, and its prepaid references to the scheduler.
//!
//! The blocks belong to one arena, and the references to one scheduler. A cache remembers which, from its first block
//! to its [`flush`](BlockCache::flush), and does not take part in requests for others.
#![allow(unsafe_code)]

use std::alloc::Layout;
use std::mem;
use std::ptr::NonNull;

use super::{Arena, Blocks, MAGAZINE, class_of};
use crate::task::scheduler::{Schedule, SchedulerArc};
use crate::task::scheduler_ref::SchedulerRef;

/// The number of scheduler references that a worker takes and gives back at a time.
const REFERENCES: usize = 1024;

/// The free blocks of one worker, and the scheduler references that its next tasks will hold.
///
/// It serves one arena and one scheduler at a time. For others it passes requests on, and caches nothing.
#[derive(Default)]
pub struct BlockCache {
    blocks: Blocks,
    /// The arena that the blocks belong to; 0 while there are none.
    arena: u64,
    /// The scheduler that `references` belong to. This reference is not one of them: it keeps the scheduler alive
    /// while they are here.
    scheduler: Option<SchedulerRef>,
    references: usize,
}

// SAFETY: free blocks belong to the owner of the list.
unsafe impl Send for BlockCache {}

impl BlockCache {
    /// Memory for a task, and the reference to the scheduler that the task will hold.
    #[inline]
    pub fn allocate<S: Schedule>(
        &mut self,
        arena: &Arena,
        scheduler: &SchedulerArc<S>,
        layout: Layout,
    ) -> (NonNull<u8>, SchedulerRef) {
        if !self.is_of(arena, scheduler.erased()) && !self.adopt(arena, scheduler.erased()) {
            return (arena.allocate(layout), scheduler.erase());
        }
        if self.references == 0 {
            scheduler.take_references(REFERENCES);
            self.references = REFERENCES;
        }
        self.references -= 1;
        // SAFETY: it was taken from this scheduler, and `references` counts it down.
        let reference = unsafe { scheduler.assume_reference() };
        let Some(class) = class_of(layout) else {
            return (arena.allocate_large(layout), reference);
        };
        let local = &mut self.blocks.0[class];
        let block = match local.pop(class) {
            Some(block) => block,
            None => {
                arena.shared.lock().refill(class, local);
                local.pop(class).expect("a refilled class has blocks")
            }
        };
        (block, reference)
    }

    /// Takes both back.
    ///
    /// # Safety
    /// `scheduler` (the task's reference) and `block` are from `allocate` with the same `layout`, `block` from
    /// `arena`; the task in it is gone.
    #[inline]
    pub unsafe fn deallocate<S: Schedule>(
        &mut self,
        arena: &Arena,
        scheduler: SchedulerArc<S>,
        block: NonNull<u8>,
        layout: Layout,
    ) {
        if !self.is_of(arena, scheduler.erased()) && !self.adopt(arena, scheduler.erased()) {
            // SAFETY: by this function's contract.
            unsafe { arena.deallocate(block, layout) };
            return;
        }
        self.references += 1;
        if self.references > 2 * REFERENCES {
            self.references -= REFERENCES;
            // SAFETY: they belong to this scheduler and are counted in `references`; `scheduler` is another one.
            unsafe { scheduler.give_references(REFERENCES) };
        }
        // `references` counts it now.
        mem::forget(scheduler);
        let Some(class) = class_of(layout) else {
            // SAFETY: by this function's contract.
            return unsafe { arena.deallocate_large(block, layout) };
        };
        let local = &mut self.blocks.0[class];
        // SAFETY: by this function's contract; a dropped cell's state word is dead.
        unsafe { local.loaded.push(block) };
        if local.loaded.len == MAGAZINE {
            let full = mem::replace(&mut local.spare, mem::take(&mut local.loaded));
            if full.len > 0 {
                arena.shared.lock().magazines[class].push(full);
            }
        }
    }

    /// Gives everything back when the worker ends. Afterwards the cache belongs to no scheduler.
    ///
    /// # Panics
    /// If it belongs to another arena or another scheduler.
    pub fn flush<S: Schedule>(&mut self, arena: &Arena, scheduler: &SchedulerArc<S>) {
        if self.scheduler.is_none() {
            return;
        }
        assert!(
            self.is_of(arena, scheduler.erased()),
            "a cache of task memory is flushed into the arena and the scheduler that it is of"
        );
        let mut shared = arena.shared.lock();
        for (class, local) in self.blocks.0.iter_mut().enumerate() {
            for magazine in [mem::take(&mut local.loaded), mem::take(&mut local.spare)] {
                if magazine.len > 0 {
                    shared.magazines[class].push(magazine);
                }
            }
            // At most one magazine of unused blocks stays unused until the arena is dropped.
            local.fresh = None;
        }
        drop(shared);
        self.arena = 0;
        self.give_references();
    }

    #[inline]
    fn is_of(&self, arena: &Arena, scheduler: &SchedulerRef) -> bool {
        let own = self.scheduler.as_ref();
        self.arena == arena.id && own.is_some_and(|own| SchedulerRef::same(own, scheduler))
    }

    /// Assigns the cache to both, if it belongs to no scheduler.
    #[cold]
    fn adopt(&mut self, arena: &Arena, scheduler: &SchedulerRef) -> bool {
        let is_free = self.scheduler.is_none();
        if is_free {
            self.arena = arena.id;
            self.scheduler = Some(scheduler.clone());
        }
        is_free
    }

    fn give_references(&mut self) {
        let references = mem::take(&mut self.references);
        if let Some(scheduler) = self.scheduler.take() {
            // SAFETY: they belong to this scheduler and were counted in `references`; `scheduler` is another one.
            unsafe { scheduler.give_references(references) };
        }
    }
}

/// Blocks that were not flushed stay unused until their arena is dropped.
impl Drop for BlockCache {
    fn drop(&mut self) {
        self.give_references();
    }
}
