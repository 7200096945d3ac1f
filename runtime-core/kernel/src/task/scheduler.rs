//! A scheduler as its tasks see it: one thin, counted pointer.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;

use super::{Task, TaskId, cell, registry};
use crate::contain::discard;
use crate::primitives::atomic::{
    AtomicUsize,
    Ordering::{AcqRel, Relaxed},
};

/// Where does this woken task go, and who must be told?
///
/// Whoever implements this trait may take over the memory of tasks, and has to promise that it is done right. A
/// scheduler that leaves memory to this module implements [`SafeSchedule`](super::SafeSchedule) instead, in safe code,
/// and this trait follows.
///
/// Only [`schedule`](Schedule::schedule) has to be written; the rest has working defaults.
///
/// # Safety
/// `allocate` returns memory of the layout asked for that nobody else uses until `deallocate` takes it back, and with
/// it a reference on `this`. The defaults do.
pub unsafe trait Schedule: Sized + Send + Sync + 'static {
    /// Queues a woken task. Called from any thread, also from wakers, and inside of polls: it must not run the task,
    /// nor any other. Once it is queued the task may be run and end elsewhere; `this` lives until the call returns
    /// all the same.
    fn schedule(this: &SchedulerArc<Self>, task: Task);

    /// Memory for a task. The task holds one reference on the scheduler as long as it has the memory; this hands it
    /// out.
    fn allocate(this: &SchedulerArc<Self>, layout: Layout) -> (NonNull<u8>, SchedulerRef) {
        (allocate_global(layout), this.erase())
    }

    /// A task was aborted that was in a queue. It ends when it is taken out, and nothing has to be done about it. A
    /// scheduler whose queue may be stuck takes it out and [cancels](Task::cancel) it here. The task may have been
    /// taken out by now.
    fn abort_queued(this: &SchedulerArc<Self>, id: TaskId) {
        let (_, _) = (this, id);
    }

    /// Takes back the memory of a task, and its reference on the scheduler.
    ///
    /// # Safety
    /// `block` and `this` are from `allocate` with the same `layout`; the task in it is gone.
    unsafe fn deallocate(this: SchedulerArc<Self>, block: NonNull<u8>, layout: Layout) {
        // SAFETY: by this function's contract, and the default `allocate` takes it from the global allocator.
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

/// Gives it back.
///
/// # Safety
/// `block` is from `allocate_global` with the same `layout`.
pub(super) unsafe fn deallocate_global(block: NonNull<u8>, layout: Layout) {
    // SAFETY: by this function's contract.
    unsafe { dealloc(block.as_ptr(), layout) };
}

/// What differs from one scheduler type to the next.
struct Operations {
    /// The scheduler's type.
    type_id: TypeId,
    schedule: unsafe fn(&SchedulerRef, Task),
    allocate: unsafe fn(&SchedulerRef, Layout) -> (NonNull<u8>, SchedulerRef),
    abort_queued: unsafe fn(&SchedulerRef, TaskId),
    deallocate: unsafe fn(SchedulerRef, NonNull<u8>, Layout),
    destroy: unsafe fn(NonNull<Shared<()>>),
}

/// The most references that a scheduler may have. So many more can be counted, by threads that overstep it at once,
/// before the count wraps.
const MOST: usize = isize::MAX as usize;

/// The allocation behind `SchedulerArc` and `SchedulerRef`. `S = ()` stands for any scheduler: the fields before it
/// lie the same.
#[repr(C)]
pub(super) struct Shared<S> {
    operations: &'static Operations,
    /// What its tasks call it by.
    number: u32,
    references: AtomicUsize,
    scheduler: S,
}

/// A counted pointer to a scheduler of a known type. Unlike `Arc`, many references can be taken or given up in one
/// step ([`take_references`](SchedulerArc::take_references)), so that a worker which spawns a million tasks writes
/// the shared count a few thousand times.
pub struct SchedulerArc<S: Schedule> {
    erased: SchedulerRef,
    _scheduler: PhantomData<S>,
}

/// A counted pointer to a scheduler of any type.
#[repr(transparent)]
pub struct SchedulerRef(NonNull<Shared<()>>);

// SAFETY: `Schedule` requires Send and Sync, and the count is atomic.
unsafe impl Send for SchedulerRef {}
// SAFETY: as above.
unsafe impl Sync for SchedulerRef {}

impl<S: Schedule> SchedulerArc<S> {
    const OPERATIONS: Operations = Operations {
        type_id: TypeId::of::<S>(),
        schedule: |erased, task| {
            // SAFETY: pointers with this table are to a `Shared<S>`.
            S::schedule(unsafe { Self::from_erased(erased) }, task);
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
            // Whoever had the last reference is in the middle of something else: the end of a task, say.
            discard(scheduler);
        },
    };

    /// Moves a scheduler to where tasks can point to it.
    ///
    /// # Panics
    /// When 4,194,304 schedulers exist.
    pub fn new(scheduler: S) -> Self {
        let number = registry::reserve();
        let shared = NonNull::from(Box::leak(Box::new(Shared {
            operations: const { &Self::OPERATIONS },
            number,
            references: AtomicUsize::new(1),
            scheduler,
        })));
        registry::register(number, shared.cast());
        Self {
            erased: SchedulerRef(shared.cast()),
            _scheduler: PhantomData,
        }
    }

    /// SAFETY: `erased` points to a `Shared<S>`.
    unsafe fn from_erased(erased: &SchedulerRef) -> &Self {
        // SAFETY: by the contract; the layouts are the same, as both are one pointer.
        unsafe { &*std::ptr::from_ref(erased).cast::<Self>() }
    }

    /// Itself, without its type.
    #[inline]
    pub fn erased(&self) -> &SchedulerRef {
        &self.erased
    }

    /// A reference without its type.
    pub fn erase(&self) -> SchedulerRef {
        self.erased.clone()
    }

    /// Takes `count` references at once, to be given out by [`assume_reference`](SchedulerArc::assume_reference).
    /// Until they are given up the scheduler lives.
    ///
    /// # Panics
    /// When there would be more than `isize::MAX` references; none is taken then.
    pub fn take_references(&self, count: usize) {
        let more = |before: usize| before.checked_add(count).filter(|&after| after <= MOST);
        let references = &self.erased.shared().references;
        // Relaxed: whoever takes them has a reference already.
        let taken = references.fetch_update(Relaxed, Relaxed, more);
        assert!(
            taken.is_ok(),
            "a scheduler has at most {MOST} references: {count} more are too many"
        );
    }

    /// One of the references taken by `take_references`.
    ///
    /// # Safety
    /// Not more often than they were taken.
    pub unsafe fn assume_reference(&self) -> SchedulerRef {
        SchedulerRef(self.erased.0)
    }

    /// Gives up `count` references at once that were taken by `take_references`, or that came back in a forgotten
    /// [`SchedulerRef`].
    ///
    /// # Safety
    /// They are the caller's, and `self` is another one.
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
        // SAFETY: a `SchedulerArc<S>` points to a `Shared<S>`, alive as long as there is a reference.
        unsafe { &self.erased.0.cast::<Shared<S>>().as_ref().scheduler }
    }
}

impl SchedulerRef {
    #[inline]
    fn shared(&self) -> &Shared<()> {
        // SAFETY: alive as long as there is a reference; the fields before `scheduler` lie the same for every `S`.
        unsafe { self.0.as_ref() }
    }

    /// What its tasks call it by.
    #[inline]
    pub(super) fn number(&self) -> u32 {
        self.shared().number
    }

    /// The reference that a task holds without a pointer, by the number in its state word.
    ///
    /// # Safety
    /// It was forgotten, and is taken once.
    #[inline]
    pub(super) unsafe fn of_task(number: u32) -> Self {
        // SAFETY: registered as long as there is a reference, and this is one.
        Self(unsafe { registry::scheduler(number) }.0)
    }

    /// Calls `body`, during which the calling thread works for this scheduler: wakers of its tasks need not see to it
    /// that it lives through a wake, as it does by this reference.
    pub fn serve<R>(&self, body: impl FnOnce() -> R) -> R {
        cell::serve(self.number(), body)
    }

    /// As [`SchedulerArc::same`].
    #[inline]
    pub(super) fn same(one: &Self, other: &Self) -> bool {
        one.0 == other.0
    }

    /// As [`SchedulerArc::give_references`].
    ///
    /// # Safety
    /// As there.
    #[inline]
    pub(super) unsafe fn give_references(&self, count: usize) {
        // AcqRel: as in `drop`.
        let before = self.shared().references.fetch_sub(count, AcqRel);
        debug_assert!(before > count);
    }

    /// SAFETY: there is no reference any more.
    #[cold]
    unsafe fn destroy(&self) {
        registry::unregister(self.number());
        // SAFETY: by this function's contract, and the table belongs to this pointer.
        unsafe { (self.shared().operations.destroy)(self.0) };
    }

    /// The scheduler with its type, if it is an `S`.
    pub fn downcast<S: Schedule>(&self) -> Option<&SchedulerArc<S>> {
        let is_s = self.shared().operations.type_id == TypeId::of::<S>();
        // SAFETY: `new` gave the table with this type to a `Shared<S>`.
        is_s.then(|| unsafe { SchedulerArc::from_erased(self) })
    }

    #[inline]
    pub(super) fn schedule(&self, task: Task) {
        // SAFETY: the table belongs to this pointer.
        unsafe { (self.shared().operations.schedule)(self, task) }
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
    /// As [`Schedule::deallocate`].
    #[inline]
    pub(super) unsafe fn deallocate(self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the table belongs to this pointer; the rest by this function's contract.
        unsafe { (self.shared().operations.deallocate)(self, block, layout) }
    }
}

impl Clone for SchedulerRef {
    fn clone(&self) -> Self {
        // Relaxed: whoever clones has a reference already.
        let before = self.shared().references.fetch_add(1, Relaxed);
        // Clones that were forgotten must not bring the count round to zero; as for `Arc`.
        if before > MOST {
            std::process::abort();
        }
        Self(self.0)
    }
}

impl Drop for SchedulerRef {
    #[inline]
    fn drop(&mut self) {
        // AcqRel: every use of the scheduler comes before its end.
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

// A scheduler keeps its tasks' panics apart, and has no state of its own that a caught panic could leave broken.
impl<S: Schedule> std::panic::UnwindSafe for SchedulerArc<S> {}
impl<S: Schedule> std::panic::RefUnwindSafe for SchedulerArc<S> {}
impl std::panic::UnwindSafe for SchedulerRef {}
impl std::panic::RefUnwindSafe for SchedulerRef {}
