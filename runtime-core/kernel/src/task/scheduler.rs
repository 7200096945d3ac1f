//! A scheduler, as its tasks see it: where they go when they are woken, and where their memory comes from.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::any::TypeId;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;

use super::entry::Task;
use super::id::TaskId;
use super::scheduler_numbers;
use super::scheduler_ref::{MAX_REFERENCES, Operations, SchedulerRef, Shared};
use crate::contain::discard;
use crate::primitives::atomic::{AtomicUsize, Ordering::Relaxed};

/// Answers one question: where does this woken task go, and who must be woken?
///
/// An implementation of this trait may manage the memory of tasks, and must guarantee that it does so correctly. A
/// scheduler that leaves memory to this module implements [`SafeSchedule`](super::SafeSchedule) instead, in safe
/// code, and gets this trait automatically.
///
/// You must only write [`schedule`](Schedule::schedule); the other methods have working defaults.
///
/// # Safety
/// `allocate` returns memory of the requested layout, which nothing else uses until `deallocate` takes it back, and a
/// reference to `this`. The defaults do this.
pub unsafe trait Schedule: Sized + Send + Sync + 'static {
    /// Queues a woken task. Any thread may call it, also in wakers and inside polls: it must not run this task or any
    /// other. Once it is queued, the task may run and end elsewhere; `this` still lives until the call returns.
    fn schedule(this: &SchedulerArc<Self>, task: Task);

    /// Memory for a task. While the task has the memory, it holds one reference to the scheduler, which this method
    /// provides.
    fn allocate(this: &SchedulerArc<Self>, layout: Layout) -> (NonNull<u8>, SchedulerRef) {
        (allocate_global(layout), this.erase())
    }

    /// A queued task was aborted. It ends when it is taken out of the queue, so you need not do anything. A scheduler
    /// whose queue may be stuck can take the task out and [cancel](Task::cancel) it here. The task may already have
    /// been taken out.
    fn abort_queued(this: &SchedulerArc<Self>, id: TaskId) {
        let (_, _) = (this, id);
    }

    /// Takes back a task's memory and its reference to the scheduler.
    ///
    /// # Safety
    /// `block` and `this` are from `allocate` with the same `layout`; the task in it is gone.
    unsafe fn deallocate(this: SchedulerArc<Self>, block: NonNull<u8>, layout: Layout) {
        // SAFETY: by this function's contract; the default `allocate` takes it from the global allocator.
        unsafe { deallocate_global(block, layout) };
        drop(this);
    }
}

/// A block from the global allocator.
pub(super) fn allocate_global(layout: Layout) -> NonNull<u8> {
    assert!(layout.size() > 0);
    // SAFETY: the layout's size is not zero.
    let block = unsafe { alloc(layout) };
    NonNull::new(block).unwrap_or_else(|| handle_alloc_error(layout))
}

/// Frees such a block.
///
/// # Safety
/// `block` is from `allocate_global` with the same `layout`.
pub(super) unsafe fn deallocate_global(block: NonNull<u8>, layout: Layout) {
    // SAFETY: by this function's contract.
    unsafe { dealloc(block.as_ptr(), layout) };
}

/// A counted pointer to a scheduler of a known type. Unlike with `Arc`, you can take or give up many references in one
/// step ([`take_references`](SchedulerArc::take_references)): a worker that spawns a million tasks then writes the
/// shared count a few thousand times.
pub struct SchedulerArc<S: Schedule> {
    erased: SchedulerRef,
    _scheduler: PhantomData<S>,
}

impl<S: Schedule> SchedulerArc<S> {
    const OPERATIONS: Operations = Operations {
        type_id: TypeId::of::<S>(),
        schedule: |erased, task| {
            // SAFETY: pointers with this table point to a `Shared<S>`, and the entry is passed once.
            let (this, task) = unsafe { (Self::from_erased(erased), Task::from_raw(task)) };
            S::schedule(this, task);
        },
        allocate: |erased, layout| {
            // SAFETY: as above.
            S::allocate(unsafe { Self::from_erased(erased) }, layout)
        },
        abort_queued: |erased, id| {
            // SAFETY: as above.
            S::abort_queued(unsafe { Self::from_erased(erased) }, id);
        },
        deallocate: |erased, block, layout| {
            let this = Self {
                erased,
                _scheduler: PhantomData,
            };
            // SAFETY: by the contract of `SchedulerRef::deallocate`, which is that of `Schedule`.
            unsafe { S::deallocate(this, block, layout) };
        },
        destroy: |shared| {
            // SAFETY: the last reference is gone; `new` made it from a box of this type.
            let scheduler = unsafe { Box::from_raw(shared.cast::<Shared<S>>().as_ptr()) };
            // The thread that had the last reference is in the middle of something else, for example the end of a
            // task.
            discard(scheduler);
        },
    };

    /// Moves a scheduler to memory that tasks can point to.
    ///
    /// # Panics
    /// When 4,194,304 schedulers exist.
    pub fn new(scheduler: S) -> Self {
        let number = scheduler_numbers::reserve();
        let shared = NonNull::from(Box::leak(Box::new(Shared {
            operations: const { &Self::OPERATIONS },
            number,
            references: AtomicUsize::new(1),
            scheduler,
        })));
        scheduler_numbers::register(number, shared.cast());
        Self {
            erased: SchedulerRef(shared.cast()),
            _scheduler: PhantomData,
        }
    }

    /// SAFETY: `erased` points to a `Shared<S>`.
    unsafe fn from_erased(erased: &SchedulerRef) -> &Self {
        // SAFETY: by the contract; both types are one pointer, so their layouts are the same.
        unsafe { &*std::ptr::from_ref(erased).cast::<Self>() }
    }

    /// The scheduler without its type.
    #[inline]
    pub fn erased(&self) -> &SchedulerRef {
        &self.erased
    }

    /// Another reference, without its type.
    pub fn erase(&self) -> SchedulerRef {
        self.erased.clone()
    }

    /// Takes `count` references at once; [`assume_reference`](SchedulerArc::assume_reference) hands them out. They
    /// keep the scheduler alive until they are given up.
    ///
    /// # Panics
    /// If there would be more than `isize::MAX` references. None is taken in that case.
    pub fn take_references(&self, count: usize) {
        let more = |before: usize| {
            before
                .checked_add(count)
                .filter(|&after| after <= MAX_REFERENCES)
        };
        let references = &self.erased.shared().references;
        // Relaxed: the caller already has a reference.
        let taken = references.fetch_update(Relaxed, Relaxed, more);
        assert!(
            taken.is_ok(),
            "a scheduler has at most {MAX_REFERENCES} references: {count} more are too many"
        );
    }

    /// One of the references that `take_references` took.
    ///
    /// # Safety
    /// Not called more often than references were taken.
    pub unsafe fn assume_reference(&self) -> SchedulerRef {
        SchedulerRef(self.erased.0)
    }

    /// Gives up `count` references at once. They were taken by `take_references`, or came back in a forgotten
    /// [`SchedulerRef`].
    ///
    /// # Safety
    /// They belong to the caller, and `self` is not one of them.
    pub unsafe fn give_references(&self, count: usize) {
        // SAFETY: by this function's contract.
        unsafe { self.erased.give_references(count) };
    }

    /// True if both point to the same scheduler.
    #[inline]
    pub fn same(one: &Self, other: &Self) -> bool {
        SchedulerRef::same(&one.erased, &other.erased)
    }
}

impl<S: Schedule> Clone for SchedulerArc<S> {
    fn clone(&self) -> Self {
        Self {
            erased: self.erased.clone(),
            _scheduler: PhantomData,
        }
    }
}

impl<S: Schedule> Deref for SchedulerArc<S> {
    type Target = S;
    #[inline]
    fn deref(&self) -> &S {
        // SAFETY: a `SchedulerArc<S>` points to a `Shared<S>`, which is alive while there is a reference.
        unsafe { &self.erased.0.cast::<Shared<S>>().as_ref().scheduler }
    }
}

impl SchedulerRef {
    /// The scheduler with its type, if it is an `S`.
    pub fn downcast<S: Schedule>(&self) -> Option<&SchedulerArc<S>> {
        let is_s = self.shared().operations.type_id == TypeId::of::<S>();
        // SAFETY: `new` gave the table with this type to a `Shared<S>`.
        is_s.then(|| unsafe { SchedulerArc::from_erased(self) })
    }
}

// A scheduler isolates its tasks' panics, and has no state of its own that a caught panic could corrupt.
impl<S: Schedule> std::panic::UnwindSafe for SchedulerArc<S> {}
impl<S: Schedule> std::panic::RefUnwindSafe for SchedulerArc<S> {}
