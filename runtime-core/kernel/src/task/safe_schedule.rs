//! A scheduler in safe code: this module manages the memory of its tasks.
#![allow(unsafe_code)]

use std::alloc::Layout;
use std::ptr::NonNull;

use super::arena::Arena;
use super::entry::Task;
use super::id::TaskId;
use super::scheduler::{Schedule, SchedulerArc, allocate_global, deallocate_global};
use super::scheduler_ref::SchedulerRef;

/// Answers one question: where does this woken task go, and who must be woken?
///
/// This is [`Schedule`] without its unsafe parts. You must only write [`schedule`](SafeSchedule::schedule):
///
/// ```
/// use std::collections::VecDeque;
/// use std::sync::Mutex;
/// use runtime_core::task::{SafeSchedule, SchedulerArc, Task, bind};
///
/// /// First come, first served.
/// #[derive(Default)]
/// struct Queue(Mutex<VecDeque<Task>>);
///
/// impl SafeSchedule for Queue {
///     fn schedule(this: &SchedulerArc<Self>, task: Task) {
///         this.0.lock().unwrap().push_back(task);
///     }
/// }
///
/// let queue = SchedulerArc::new(Queue::default());
/// let (task, handle) = bind(queue.erased(), async { 7 });
/// drop(task.run());
/// assert!(handle.is_finished());
/// ```
pub trait SafeSchedule: Sized + Send + Sync + 'static {
    /// Queues a woken task. See [`Schedule::schedule`].
    fn schedule(this: &SchedulerArc<Self>, task: Task);

    /// Where the memory of tasks comes from: an arena, which also knows every live task ([`Arena::abort_all`]), or
    /// the global allocator if there is none.
    ///
    /// Each call should return the same arena. Otherwise the memory of some tasks is never freed.
    fn arena(&self) -> Option<&Arena> {
        None
    }

    /// A queued task was aborted. See [`Schedule::abort_queued`].
    fn abort_queued(this: &SchedulerArc<Self>, id: TaskId) {
        let (_, _) = (this, id);
    }
}

/// The last word of a task's block: the block's origin. Safe code could return one arena when the task is made and
/// another when it is gone, but a block must go back to where it came from.
type Origin = u64;

/// The global allocator. Arenas are numbered from 1.
const GLOBAL: Origin = 0;

/// A task's layout with an origin after it, and the offset of the origin.
fn with_origin(layout: Layout) -> (Layout, usize) {
    let (whole, at) = layout
        .extend(Layout::new::<Origin>())
        .expect("the layout of a task is smaller than half of the address space");
    (whole.pad_to_align(), at)
}

// SAFETY: every block is fresh from an arena or from the global allocator, of at least the requested layout. It goes
// back to the origin that its last word names, with the same layout.
unsafe impl<S: SafeSchedule> Schedule for S {
    fn schedule(this: &SchedulerArc<Self>, task: Task) {
        SafeSchedule::schedule(this, task);
    }

    fn allocate(this: &SchedulerArc<Self>, layout: Layout) -> (NonNull<u8>, SchedulerRef) {
        let (layout, at) = with_origin(layout);
        let (block, origin) = match this.arena() {
            Some(arena) => (arena.allocate(layout), arena.id()),
            None => (allocate_global(layout), GLOBAL),
        };
        // SAFETY: the block has room for an origin there, and nobody else uses it.
        unsafe { block.byte_add(at).cast::<Origin>().write(origin) };
        (block, this.erase())
    }

    fn abort_queued(this: &SchedulerArc<Self>, id: TaskId) {
        SafeSchedule::abort_queued(this, id);
    }

    unsafe fn deallocate(this: SchedulerArc<Self>, block: NonNull<u8>, layout: Layout) {
        let (layout, at) = with_origin(layout);
        // SAFETY: `allocate` wrote it, and nobody else writes there.
        let origin = unsafe { block.byte_add(at).cast::<Origin>().read() };
        match this.arena() {
            _ if origin == GLOBAL => {
                // SAFETY: from the global allocator with this layout.
                unsafe { deallocate_global(block, layout) }
            }
            // SAFETY: from this arena with this layout, and the task is gone by this function's contract.
            Some(arena) if arena.id() == origin => unsafe { arena.deallocate(block, layout) },
            // From an arena that the scheduler does not return any more: the block is leaked.
            _ => {}
        }
    }
}

#[cfg(all(test, not(lab_loom)))]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::super::{Ran, bind};
    use super::*;

    /// Returns each of these arenas in turn, and then none.
    #[derive(Default)]
    struct Fickle {
        arenas: Vec<Arena>,
        asked: AtomicUsize,
        due: Mutex<VecDeque<Task>>,
    }

    impl SafeSchedule for Fickle {
        fn schedule(this: &SchedulerArc<Self>, task: Task) {
            this.due.lock().unwrap().push_back(task);
        }
        fn arena(&self) -> Option<&Arena> {
            let asked = self.asked.fetch_add(1, Relaxed);
            self.arenas.get(asked % (self.arenas.len() + 1))
        }
    }

    fn run(arenas: usize) {
        let scheduler = SchedulerArc::new(Fickle {
            arenas: (0..arenas).map(|_| Arena::default()).collect(),
            ..Fickle::default()
        });
        for round in 0..200_u64 {
            let (task, handle) = bind(scheduler.erased(), async move { [round; 5] });
            let (small, detached) = bind(scheduler.erased(), async {});
            drop(detached);
            assert!(matches!(task.run(), Ran::Finished));
            small.cancel();
            assert!(handle.is_finished());
        }
    }

    #[test]
    fn tasks_without_an_arena_are_from_the_global_allocator() {
        run(0);
    }

    #[test]
    fn a_scheduler_that_names_another_arena_each_time_corrupts_nothing() {
        for arenas in 1..4 {
            run(arenas);
        }
    }

    #[test]
    fn an_arena_reaches_tasks_that_wait() {
        struct Keeps(Arena, Mutex<VecDeque<Task>>);
        impl SafeSchedule for Keeps {
            fn schedule(this: &SchedulerArc<Self>, task: Task) {
                this.1.lock().unwrap().push_back(task);
            }
            fn arena(&self) -> Option<&Arena> {
                Some(&self.0)
            }
        }
        let scheduler = SchedulerArc::new(Keeps(Arena::default(), Mutex::default()));
        let (task, handle) = bind(scheduler.erased(), std::future::pending::<()>());
        assert!(matches!(task.run(), Ran::Parked));
        assert_eq!(scheduler.0.abort_all(Task::cancel), 1);
        assert!(handle.is_finished());
        drop(handle);
        assert_eq!(scheduler.0.abort_all(Task::cancel), 0);
    }
}
