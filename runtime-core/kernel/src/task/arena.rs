//! Memory for tasks: reused, hot in the cache, and walkable at shutdown.
//!
//! Spawning is mostly allocation, and a million tasks cost page faults. The worker that finishes a task therefore
//! reuses its block at once. Each worker has a private [`BlockCache`]. Full and empty *magazines* of 256 blocks are
//! exchanged through the [`Arena`], so its lock is taken once per 256 blocks, even if one worker spawns and another
//! finishes. (The scheme is Bonwick's, "Magazines and Vmem", 2001.)
//!
//! Rejected: the global allocator (four times as expensive, and without a way to find idle tasks at shutdown), and a
//! list of all tasks under a lock (a contended cache line on every spawn and completion). Pages are never freed
//! before the scheduler, which makes the memory *type-stable*: a shutdown can read every block's state word without
//! stopping any thread.
#![allow(unsafe_code)]

mod cache;

use std::alloc::Layout;
use std::array;
use std::collections::HashSet;
use std::mem;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::Task;
use super::cell::{self, Header, Reference};
use super::join::AbortHandle;
use super::pages::{PAGE_ALIGN, Page};
use super::scheduler::{allocate_global, deallocate_global};
use super::state::State;
use crate::primitives::Mutex;
use crate::task_list::LiveTask;

pub use cache::BlockCache;

/// Block sizes are multiples of this. So are the sizes of tasks, so no byte is lost to rounding. If a page starts at a
/// multiple of an alignment, all of its blocks have that alignment, because their size is a multiple of it.
const GRAIN_BYTES: usize = 8;
/// No block is smaller, so that it can be linked into a list.
const MIN_BLOCK_BYTES: usize = size_of::<FreeBlock>();
/// Each larger task comes from the global allocator.
const MAX_BLOCK_BYTES: usize = 1024;
const CLASSES: usize = MAX_BLOCK_BYTES / GRAIN_BYTES;
/// The number of blocks that change hands at a time.
const MAGAZINE: usize = 256;

/// The memory of one scheduler's tasks, for use by [`Schedule::allocate`](super::Schedule::allocate) and its
/// counterpart. It must live as long as the scheduler: keep it there.
pub struct Arena {
    /// Unique for ever, so that a cache knows whose blocks it has. An address would be reused.
    id: u64,
    shared: Mutex<Shared>,
}

impl Default for Arena {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            id: NEXT.fetch_add(1, Relaxed),
            shared: Mutex::default(),
        }
    }
}

struct Shared {
    pages: Vec<Page>,
    /// The bytes of all pages, by class.
    page_bytes: [usize; CLASSES],
    /// Full magazines, by class.
    magazines: [Vec<FreeList>; CLASSES],
    /// The unused rest of the newest page, by class.
    fresh: [Option<Fresh>; CLASSES],
    /// The cache for threads that are not workers.
    non_worker: Blocks,
    /// Tasks that are too large for any class.
    large: HashSet<NonNull<Header>>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            pages: Vec::new(),
            page_bytes: [0; CLASSES],
            magazines: array::from_fn(|_| Vec::new()),
            fresh: array::from_fn(|_| None),
            non_worker: Blocks::default(),
            large: HashSet::new(),
        }
    }
}

/// Free blocks, linked through their second word. The first word is a state word that says "dead".
#[derive(Clone, Copy)]
struct FreeList {
    head: *mut FreeBlock,
    len: usize,
}

#[repr(C)]
struct FreeBlock {
    dead_state: u64,
    next: *mut FreeBlock,
}

impl Default for FreeList {
    fn default() -> Self {
        Self {
            head: ptr::null_mut(),
            len: 0,
        }
    }
}

impl FreeList {
    #[inline]
    fn pop(&mut self) -> Option<NonNull<u8>> {
        let head = NonNull::new(self.head)?;
        // SAFETY: the blocks of a free list are memory that nobody else uses.
        self.head = unsafe { (*head.as_ptr()).next };
        self.len -= 1;
        Some(head.cast())
    }

    /// SAFETY: `block` is at least as large as a `FreeBlock`, its state word is dead, and nobody else uses it.
    #[inline]
    unsafe fn push(&mut self, block: NonNull<u8>) {
        let block = block.cast::<FreeBlock>().as_ptr();
        // SAFETY: by this function's contract. This does not touch the state word, which a walker may be reading.
        unsafe { (&raw mut (*block).next).write(self.head) };
        self.head = block;
        self.len += 1;
    }
}

/// One class of a cache: two magazines, and the unused rest of a page.
#[derive(Default)]
struct Class {
    loaded: FreeList,
    spare: FreeList,
    fresh: Option<Fresh>,
}

struct Fresh {
    next: NonNull<u8>,
    left: usize,
}

/// The free blocks of one thread.
struct Blocks([Class; CLASSES]);

impl Default for Blocks {
    fn default() -> Self {
        Self(array::from_fn(|_| Class::default()))
    }
}

// SAFETY: free blocks belong to the owner of the list; the rest is behind the mutex.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

/// The class of a layout; `None` means a separate block. If a size is not a multiple of its alignment, all blocks
/// after the first would be misaligned.
fn class_of(layout: Layout) -> Option<usize> {
    let is_padded = layout.size() & (layout.align() - 1) == 0;
    (layout.size() <= MAX_BLOCK_BYTES && layout.align() <= PAGE_ALIGN && is_padded)
        .then(|| layout.size().max(MIN_BLOCK_BYTES).div_ceil(GRAIN_BYTES) - 1)
}

/// The layout of a separate block: it has at least room and alignment for a state word.
fn large_layout(layout: Layout) -> Layout {
    let size = layout.size().max(MIN_BLOCK_BYTES);
    let align = layout.align().max(align_of::<Header>());
    Layout::from_size_align(size, align)
        .expect("the layout of a task is smaller than half of the address space")
}

/// The state word of a block, and nothing else of the block: a thread that makes a task there may be writing the rest.
///
/// SAFETY: `header` points to a block of an arena that is not freed for `'a`. The first word of a block is always a
/// state word: zero, dead or alive.
unsafe fn state_of<'a>(header: NonNull<Header>) -> &'a State {
    // SAFETY: by this function's contract.
    unsafe { &(*header.as_ptr()).state }
}

fn block_bytes(class: usize) -> usize {
    (class + 1) * GRAIN_BYTES
}

impl Class {
    #[inline]
    fn pop(&mut self, class: usize) -> Option<NonNull<u8>> {
        if let Some(block) = self.loaded.pop() {
            return Some(block);
        }
        if self.spare.len > 0 {
            mem::swap(&mut self.loaded, &mut self.spare);
            return self.loaded.pop();
        }
        let fresh = self.fresh.as_mut()?;
        let block = fresh.next;
        fresh.advance(1, class);
        if fresh.left == 0 {
            self.fresh = None;
        }
        Some(block)
    }
}

impl Fresh {
    fn advance(&mut self, blocks: usize, class: usize) {
        self.left -= blocks;
        if self.left > 0 {
            // SAFETY: at least one more block of this class follows in the page.
            self.next = unsafe { self.next.add(blocks * block_bytes(class)) };
        }
    }
}

impl Shared {
    /// A magazine of used blocks if there is one, because their memory is already paid for; otherwise as many unused
    /// ones.
    fn refill(&mut self, class: usize, local: &mut Class) {
        if let Some(magazine) = self.magazines[class].pop() {
            local.loaded = magazine;
            return;
        }
        let mut fresh = self.fresh[class]
            .take()
            .unwrap_or_else(|| self.new_page(class));
        let taken = fresh.left.min(MAGAZINE);
        local.fresh = Some(Fresh {
            next: fresh.next,
            left: taken,
        });
        fresh.advance(taken, class);
        self.fresh[class] = (fresh.left > 0).then_some(fresh);
    }

    fn new_page(&mut self, class: usize) -> Fresh {
        let class_bytes = &mut self.page_bytes[class];
        // Zeroed words are dead state words.
        let page = Page::new(block_bytes(class), *class_bytes);
        *class_bytes += page.bytes;
        self.pages.push(page);
        Fresh {
            next: page.start,
            left: page.len(),
        }
    }
}

impl Arena {
    /// Unique for ever: no other arena has it or had it.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Memory for a task that is spawned on a thread without a cache.
    pub fn allocate(&self, layout: Layout) -> NonNull<u8> {
        let Some(class) = class_of(layout) else {
            return self.allocate_large(layout);
        };
        let mut shared = self.shared.lock();
        if let Some(block) = shared.non_worker.0[class].pop(class) {
            return block;
        }
        let mut local = mem::take(&mut shared.non_worker.0[class]);
        shared.refill(class, &mut local);
        let block = local.pop(class).expect("a refilled class has blocks");
        shared.non_worker.0[class] = local;
        block
    }

    /// Takes memory back, on a thread without a cache.
    ///
    /// # Safety
    /// `block` is from this arena (or one of its caches) with the same `layout`, and the task in it is gone.
    pub unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        let Some(class) = class_of(layout) else {
            // SAFETY: by this function's contract.
            return unsafe { self.deallocate_large(block, layout) };
        };
        let mut shared = self.shared.lock();
        let local = &mut shared.non_worker.0[class];
        // SAFETY: by this function's contract; a dropped cell's state word is dead.
        unsafe { local.loaded.push(block) };
        if local.loaded.len == MAGAZINE {
            let full = mem::take(&mut local.loaded);
            shared.magazines[class].push(full);
        }
    }

    fn allocate_large(&self, layout: Layout) -> NonNull<u8> {
        let block = allocate_global(large_layout(layout));
        // SAFETY: the block has room for a state word and its alignment, and is ours. A walker must find a dead state
        // word until the task is there.
        unsafe { block.cast::<u64>().write(0) };
        self.shared.lock().large.insert(block.cast());
        block
    }

    /// SAFETY: as `deallocate`.
    unsafe fn deallocate_large(&self, block: NonNull<u8>, layout: Layout) {
        self.shared.lock().large.remove(&block.cast());
        // SAFETY: by this function's contract.
        unsafe { deallocate_global(block, large_layout(layout)) };
    }

    /// Aborts every live task. Passes idle tasks to `due`, which must cancel or queue them; queued and running tasks
    /// end where they are. Returns how many were alive, so that a shutdown can repeat this until none is.
    ///
    /// `due` may be called while other threads spawn, run and finish tasks. This may miss tasks that are spawned
    /// meanwhile. If `due` panics, the rest is not aborted.
    pub fn abort_all(&self, mut due: impl FnMut(Task)) -> usize {
        let mut alive = 0;
        self.visit_live(|task| {
            alive += 1;
            if task.header().state.abort().is_some() {
                due(Task::of(task.0));
            }
        });
        alive
    }

    /// Calls `visit` with each live task, outside the lock.
    fn visit_live(&self, mut visit: impl FnMut(&Reference)) {
        let (pages, large) = {
            let shared = self.shared.lock();
            // SAFETY: tasks in the set are not freed while we hold the lock.
            let live = shared.large.iter().filter_map(|&it| unsafe { live(it) });
            let large: Vec<_> = live.collect();
            (shared.pages.clone(), large)
        };
        for page in pages {
            for header in page.blocks().map(NonNull::cast::<Header>) {
                // SAFETY: pages live as long as the arena.
                if let Some(task) = unsafe { live(header) } {
                    visit(&task);
                }
            }
        }
        large.iter().for_each(visit);
    }

    /// The task whose [`TaskId`](super::TaskId) is `id`, if it is alive and in this arena. For a caller that saw the
    /// id somewhere and has no reference: the task may have ended, and another one may live at its address.
    pub fn find_live(&self, id: usize) -> Option<AbortHandle> {
        let shared = self.shared.lock();
        let header = NonNull::new(ptr::with_exposed_provenance_mut::<Header>(id))?;
        let is_block = shared.large.contains(&header)
            || shared.pages.iter().any(|page| {
                let start = page.start.as_ptr().addr();
                (start..start + page.len() * page.block_bytes).contains(&id)
                    && (id - start).is_multiple_of(page.block_bytes)
            });
        // SAFETY: it is one of our blocks, which is not freed while we hold the lock.
        let task = is_block.then(|| unsafe { live(header) }).flatten()?;
        drop(shared);
        // SAFETY: alive by our reference; the handle takes another one.
        Some(unsafe { AbortHandle::of(task.0) })
    }

    /// The live tasks, for a [`TaskList`](crate::task_list::TaskList). It walks the memory of all tasks, and stops no
    /// thread: tasks that start or end meanwhile may be in the list or not.
    pub fn live_tasks(&self) -> Vec<LiveTask> {
        let mut tasks = Vec::new();
        self.visit_live(|task| {
            // SAFETY: we have a reference.
            tasks.extend(unsafe { cell::live_task(task.0) });
        });
        tasks
    }

    /// The names of the live tasks.
    pub fn live_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        self.visit_live(|task| {
            // SAFETY: we have a reference.
            names.push(unsafe { cell::name_of(task.0) }.to_owned());
        });
        names
    }
}

/// A reference to the task in a block, if a live one is there.
///
/// SAFETY: `header` points to a block of an arena that is not freed meanwhile.
unsafe fn live(header: NonNull<Header>) -> Option<Reference> {
    // SAFETY: by this function's contract.
    let is_live = unsafe { state_of(header) }.retain_if_live();
    // SAFETY: it was just taken.
    is_live.then(|| unsafe { Reference::assume(header) })
}

impl Drop for Arena {
    fn drop(&mut self) {
        for page in &self.shared.get_mut().pages {
            // SAFETY: each block holds a reference to the scheduler that owns this arena, so no block is in use.
            unsafe { page.free() };
        }
    }
}

#[cfg(all(test, not(lab_loom)))]
mod tests {
    use super::*;

    #[test]
    fn classes_fit_their_blocks() {
        for size in 1..=MAX_BLOCK_BYTES {
            let class = class_of(Layout::from_size_align(size, 1).unwrap()).unwrap();
            let size = size.max(MIN_BLOCK_BYTES);
            assert!(block_bytes(class) >= size && block_bytes(class) < size + GRAIN_BYTES);
        }
        // The second block of a page would be misaligned.
        assert!(class_of(Layout::from_size_align(9, 8).unwrap()).is_none());
        assert!(class_of(Layout::from_size_align(MAX_BLOCK_BYTES + 8, 8).unwrap()).is_none());
        assert!(class_of(Layout::from_size_align(0, 2 * PAGE_ALIGN).unwrap()).is_none());
    }

    #[test]
    fn blocks_are_distinct_and_come_back() {
        let arena = Arena::default();
        let layout = Layout::from_size_align(96, 8).unwrap();
        let magazines = if cfg!(miri) { 3 } else { 20 };
        let allocate = || (0..magazines * MAGAZINE).map(|_| arena.allocate(layout));
        let first: HashSet<_> = allocate().collect();
        assert_eq!(first.len(), magazines * MAGAZINE);
        for block in &first {
            // SAFETY: just allocated, no task in it; a fresh block's state word is zero.
            unsafe { arena.deallocate(*block, layout) };
        }
        let again: HashSet<_> = allocate().collect();
        // All except the rest of the magazine that is in use.
        assert!(
            first.intersection(&again).count() > (magazines - 1) * MAGAZINE,
            "freed blocks are used before fresh ones"
        );
    }
}
