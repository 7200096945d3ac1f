//! A closure that another worker may call, where it stands.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use runtime_core::contain::discard;

use super::latch::Latch;

/// A closure in a deque: a pointer to where it stands, and what to call. There is one of each closure, and calling
/// uses it up.
#[derive(Debug)]
pub(crate) struct JobRef {
    data: *const (),
    execute: unsafe fn(*const ()),
}

// SAFETY: a `JobRef` is made from closures that are Send, and whose results are, only.
unsafe impl Send for JobRef {}

impl JobRef {
    /// # Safety
    /// `data` stays valid until `execute` has been called with it, once, on any thread, or this has been taken back.
    /// It is made once.
    pub(super) unsafe fn new(data: *const (), execute: unsafe fn(*const ())) -> Self {
        Self { data, execute }
    }

    /// True if it is the closure of `job`.
    #[inline]
    pub(super) fn is_of<F, R>(&self, job: &StackJob<F, R>) -> bool {
        std::ptr::eq(self.data, std::ptr::from_ref(job).cast())
    }

    /// Calls the closure. Its panic stays with it, and so do those of destructors that run then: this never unwinds.
    pub(crate) fn execute(self) {
        // SAFETY: the contract of `new`; there was one of it, and it is used up.
        unsafe { (self.execute)(self.data) };
    }
}

/// A closure on the stack of the thread that waits for it.
pub(super) struct StackJob<F, R> {
    pub(super) latch: Latch,
    function: UnsafeCell<Option<F>>,
    result: UnsafeCell<Option<thread::Result<R>>>,
}

impl<F: FnOnce() -> R + Send, R: Send> StackJob<F, R> {
    #[inline]
    pub(super) fn new(function: F, latch: Latch) -> Self {
        Self {
            latch,
            function: UnsafeCell::new(Some(function)),
            result: UnsafeCell::new(None),
        }
    }

    /// To be put into a deque.
    ///
    /// # Safety
    /// Called once, and the job is not moved or dropped before the reference was taken back or the latch is set.
    #[inline]
    pub(super) unsafe fn reference(&self) -> JobRef {
        // SAFETY: this function's own contract.
        unsafe { JobRef::new(std::ptr::from_ref(self).cast(), Self::execute) }
    }

    /// SAFETY: `data` is from `reference`, and this is called once.
    unsafe fn execute(data: *const ()) {
        // SAFETY: the waiting thread keeps the job alive until the latch is set.
        let job = unsafe { &*data.cast::<Self>() };
        // SAFETY: whoever has taken the reference out of a deque is the only one to touch these cells until the latch
        // is set.
        let function = unsafe { (*job.function.get()).take() };
        let function = function.expect("a job is executed once");
        let result = catch_unwind(AssertUnwindSafe(function));
        // SAFETY: as above.
        unsafe { *job.result.get() = Some(result) };
        // The job may be gone as soon as the latch is set.
        // SAFETY: alive until then.
        unsafe { Latch::set(&raw const job.latch) };
    }

    /// Calls the closure on the thread that forked it, after its reference was taken back out of the deque.
    #[inline]
    pub(super) fn call(self) -> R {
        let function = self.function.into_inner();
        function.expect("a job that was taken back has not run")()
    }

    /// Drops the closure without calling it, after its reference was taken back out of the deque.
    pub(super) fn give_up(self) {
        discard(self.function.into_inner());
    }

    /// What the closure gave on another thread, or its panic. The latch is set.
    pub(super) fn into_outcome(self) -> thread::Result<R> {
        match self.result.into_inner() {
            Some(outcome) => outcome,
            None => unreachable!("the latch is set after the result"),
        }
    }
}
