//! A scheduler of any type, as its tasks see it: one thin, counted pointer.
//!
//! What tasks ask of it goes through a table of functions, as with a trait object. It does not refer to the type of
//! tasks: a task to be queued is a plain pointer here, which [`SchedulerArc`](super::SchedulerArc) makes a task again.
#![allow(unsafe_code)]

use std::alloc::Layout;
use std::any::TypeId;
use std::cell::Cell;
use std::fmt;
use std::ptr::{self, NonNull};

use super::id::TaskId;
use super::scheduler_numbers;
use crate::primitives::atomic::{
    AtomicUsize,
    Ordering::{AcqRel, Relaxed},
};
use crate::primitives::thread_local;
use crate::thread_stack::on_thread_stack;

/// What depends on the scheduler's type.
///
/// # Safety
/// Each function is called with a reference to a scheduler that has this table. Each function states its further
/// conditions.
pub(super) struct Operations {
    /// The scheduler's type.
    pub(super) type_id: TypeId,
    /// Queues a task, passed in the form of [`Task::into_raw`](super::Task::into_raw).
    pub(super) schedule: unsafe fn(&SchedulerRef, NonNull<()>),
    /// Allocates a block of this layout, with a reference for its task.
    pub(super) allocate: unsafe fn(&SchedulerRef, Layout) -> (NonNull<u8>, SchedulerRef),
    /// Called when a task with this id was aborted while it was in a queue.
    pub(super) abort_queued: unsafe fn(&SchedulerRef, TaskId),
    /// Takes back a block with its reference. Both are from `allocate` with this layout, and the task is gone.
    pub(super) deallocate: unsafe fn(SchedulerRef, NonNull<u8>, Layout),
    /// Drops the scheduler and frees the allocation. No reference is left.
    pub(super) destroy: unsafe fn(NonNull<Shared<()>>),
}

/// The maximum number of references to a scheduler. As many more can be counted before the count wraps, in case
/// several threads exceed the limit at once.
pub(super) const MAX_REFERENCES: usize = isize::MAX as usize;

/// The allocation behind `SchedulerArc` and `SchedulerRef`. `S = ()` stands for any scheduler: the fields before it
/// have the same layout.
#[repr(C)]
pub(super) struct Shared<S> {
    pub(super) operations: &'static Operations,
    /// The number by which its tasks refer to it.
    pub(super) number: u32,
    pub(super) references: AtomicUsize,
    pub(super) scheduler: S,
}

/// A counted pointer to a scheduler of any type.
#[repr(transparent)]
pub struct SchedulerRef(pub(super) NonNull<Shared<()>>);

thread_local! {
    /// The scheduler that this thread serves.
    static SERVED: Cell<Option<u32>> = const { Cell::new(None) };
}

// SAFETY: `Schedule` requires Send and Sync, and the count is atomic.
unsafe impl Send for SchedulerRef {}
// SAFETY: as above.
unsafe impl Sync for SchedulerRef {}

impl SchedulerRef {
    #[inline]
    pub(super) fn shared(&self) -> &Shared<()> {
        // SAFETY: alive while there is a reference; the fields before `scheduler` have the same layout for every `S`.
        unsafe { self.0.as_ref() }
    }

    /// The number by which its tasks refer to it.
    #[inline]
    pub(super) fn number(&self) -> u32 {
        self.shared().number
    }

    /// The scheduler with that number.
    ///
    /// # Safety
    /// A reference to it exists for `'a`.
    #[inline]
    pub(super) unsafe fn with_number<'a>(number: u32) -> &'a Self {
        // SAFETY: registered while there is a reference; a `SchedulerRef` is just its address.
        unsafe { &*ptr::from_ref(scheduler_numbers::address(number)).cast::<Self>() }
    }

    /// The reference that a task holds without a pointer, through the number in its state word.
    ///
    /// # Safety
    /// It was forgotten, and is taken once.
    #[inline]
    pub(super) unsafe fn of_task(number: u32) -> Self {
        // SAFETY: this is a reference to it.
        Self(unsafe { Self::with_number(number) }.0)
    }

    /// Calls `body`. During the call the calling thread works for this scheduler, and this reference keeps the
    /// scheduler alive: wakers of its tasks need not ensure that it outlives a wake.
    pub fn serve<R>(&self, body: impl FnOnce() -> R) -> R {
        struct Return(Option<u32>);
        impl Drop for Return {
            fn drop(&mut self) {
                SERVED.set(self.0);
            }
        }
        // The note belongs to the thread. A green task that is suspended meanwhile would leave it to other tasks.
        on_thread_stack(|| {
            let _return = Return(SERVED.replace(Some(self.number())));
            body()
        })
    }

    /// Whether the calling thread [serves](SchedulerRef::serve) the scheduler with that number.
    #[inline]
    pub(super) fn is_served_here(number: u32) -> bool {
        let serves = SERVED.try_with(|served| served.get() == Some(number));
        serves.unwrap_or(false)
    }

    /// Like [`SchedulerArc::same`](super::SchedulerArc::same).
    #[inline]
    pub(super) fn same(one: &Self, other: &Self) -> bool {
        one.0 == other.0
    }

    /// Like [`SchedulerArc::give_references`](super::SchedulerArc::give_references).
    ///
    /// # Safety
    /// Same as there.
    #[inline]
    pub(super) unsafe fn give_references(&self, count: usize) {
        // AcqRel: as in `drop`.
        let before = self.shared().references.fetch_sub(count, AcqRel);
        debug_assert!(before > count);
    }

    /// SAFETY: no reference is left.
    #[cold]
    unsafe fn destroy(&self) {
        scheduler_numbers::unregister(self.number());
        // SAFETY: by this function's contract, and the table belongs to this pointer.
        unsafe { (self.shared().operations.destroy)(self.0) };
    }

    /// Queues a task.
    ///
    /// # Safety
    /// `task` is the header of a task of this scheduler, and the caller gives away its only entry.
    #[inline]
    pub(super) unsafe fn schedule<H>(&self, task: NonNull<H>) {
        // SAFETY: the table belongs to this pointer; the rest by this function's contract.
        unsafe { (self.shared().operations.schedule)(self, task.cast()) }
    }

    pub(super) fn abort_queued(&self, id: TaskId) {
        // SAFETY: the table belongs to this pointer.
        unsafe { (self.shared().operations.abort_queued)(self, id) }
    }

    #[inline]
    pub(super) fn allocate(&self, layout: Layout) -> (NonNull<u8>, SchedulerRef) {
        // SAFETY: the table belongs to this pointer.
        unsafe { (self.shared().operations.allocate)(self, layout) }
    }

    /// # Safety
    /// Like [`Schedule::deallocate`](super::Schedule::deallocate).
    #[inline]
    pub(super) unsafe fn deallocate(self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the table belongs to this pointer; the rest by this function's contract.
        unsafe { (self.shared().operations.deallocate)(self, block, layout) }
    }
}

impl Clone for SchedulerRef {
    fn clone(&self) -> Self {
        // Relaxed: the caller already has a reference.
        let before = self.shared().references.fetch_add(1, Relaxed);
        // Forgotten clones must not make the count wrap to zero; as with `Arc`.
        if before > MAX_REFERENCES {
            std::process::abort();
        }
        Self(self.0)
    }
}

impl Drop for SchedulerRef {
    #[inline]
    fn drop(&mut self) {
        // AcqRel: every use of the scheduler happens before its end.
        if self.shared().references.fetch_sub(1, AcqRel) == 1 {
            // SAFETY: it was the last reference.
            unsafe { self.destroy() };
        }
    }
}

impl fmt::Debug for SchedulerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SchedulerRef").field(&self.0).finish()
    }
}

impl std::panic::UnwindSafe for SchedulerRef {}
impl std::panic::RefUnwindSafe for SchedulerRef {}
