//! A worker's own blocks, and prepaid references on its scheduler.
//!
//! Both belong to somebody: the blocks to one arena, the references to one scheduler. A cache remembers to whom, from
//! its first block to its [`flush`](BlockCache::flush), and takes no part in what it is asked for others.
#![allow(unsafe_code)]

use std::alloc::Layout;
use std::mem;
use std::ptr::NonNull;

use super::{Arena, Blocks, MAGAZINE, class_of};
use crate::task::scheduler::{Schedule, SchedulerArc, SchedulerRef};

/// Scheduler references that a worker takes and gives at a time.
const REFERENCES: usize = 1024;

/// The free blocks of one worker, and the scheduler references that its next tasks will hold.
///
/// It serves one arena and one scheduler at a time. For any others it hands out memory, too, but keeps none of theirs.
#[derive(Default)]
pub struct BlockCache {
    blocks: Blocks,
    /// The arena that the blocks are of; 0 while there are none.
    arena: u64,
    /// Whose references these are. This one is apart from them: it keeps the scheduler alive while they are here.
    scheduler: Option<SchedulerRef>,
    references: usize,
}

// SAFETY: free blocks belong to whoever has the list.
unsafe impl Send for BlockCache {}

impl BlockCache {
    /// Memory for a task, and the reference on the scheduler that the task will hold.
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
        // SAFETY: it was taken of this scheduler, and is counted down.
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

    /// Takes back both.
    ///
    /// # Safety
    /// `scheduler` (a reference of the task's) and `block` are from `allocate` with the same `layout`, `block` of
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
            // SAFETY: they are of this scheduler and counted in `references`; `scheduler` is another one.
            unsafe { scheduler.give_references(REFERENCES) };
        }
        // It is counted in `references` now.
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

    /// Gives everything back: the worker ends. The cache is nobody's then.
    ///
    /// # Panics
    /// When it is another arena's or another scheduler's.
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
            // At most a magazine of never used blocks stays unused until the arena goes.
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

    /// Makes the cache theirs, if it is nobody's.
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
            // SAFETY: they are of this scheduler and were counted in `references`; `scheduler` is another one.
            unsafe { scheduler.give_references(references) };
        }
    }
}

/// Blocks that were not flushed stay unused until their arena goes.
impl Drop for BlockCache {
    fn drop(&mut self) {
        self.give_references();
    }
}
