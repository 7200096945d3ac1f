//! A closure that another worker may call in place.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::thread;

use runtime_core::contain::discard;

use super::latch::Latch;

/// A forked closure begins with it. It says how to call the closure.
#[derive(Clone, Copy)]
pub(super) struct Head {
    /// Called once, with a pointer to the value whose first field is this head. The pointer may be used for all of it.
    execute: unsafe fn(NonNull<Head>),
}

impl Head {
    pub(super) fn new(execute: unsafe fn(NonNull<Self>)) -> Self {
        Self { execute }
    }
}

/// A closure in a deque: its address. It is one word, so that a deque can hold it in an atomic. There is only one for
/// each closure, and a call consumes it.
#[derive(Debug)]
pub(crate) struct JobRef(NonNull<Head>);

// SAFETY: a `JobRef` is only made from closures that are Send and whose results are Send.
unsafe impl Send for JobRef {}

impl JobRef {
    /// # Safety
    /// The head is the first field of a `repr(C)` value, the pointer may be used for all of that value, and the head's
    /// function belongs to it. The value stays valid until the function has been called with it, once, on any thread,
    /// or until this reference has been taken back. Only one is made.
    #[inline]
    pub(super) unsafe fn new(head: NonNull<Head>) -> Self {
        Self(head)
    }

    /// Whether it is the closure of `job`.
    #[inline]
    pub(super) fn is_of<F, R>(&self, job: &StackJob<F, R>) -> bool {
        std::ptr::eq(self.0.as_ptr(), std::ptr::from_ref(job).cast())
    }

    /// Calls the closure. This never unwinds: panics of the closure, and of destructors that run then, stay in the
    /// job.
    pub(crate) fn execute(self) {
        // SAFETY: alive, by the contract of `new`.
        let execute = unsafe { self.0.as_ref() }.execute;
        // SAFETY: by the contract of `new`: there was only one reference, and this call consumes it.
        unsafe { execute(self.0) };
    }

    /// The form in which a deque holds it.
    #[inline]
    pub(super) fn into_raw(self) -> *mut () {
        self.0.as_ptr().cast()
    }

    /// # Safety
    /// From `into_raw`, once.
    #[inline]
    pub(super) unsafe fn from_raw(raw: *mut ()) -> Self {
        // SAFETY: by this function's contract.
        Self(unsafe { NonNull::new_unchecked(raw.cast()) })
    }
}

/// A closure on the stack of the thread that waits for it.
#[repr(C)]
pub(super) struct StackJob<F, R> {
    head: Head,
    pub(super) latch: Latch,
    function: UnsafeCell<Option<F>>,
    result: UnsafeCell<Option<thread::Result<R>>>,
}

impl<F: FnOnce() -> R + Send, R: Send> StackJob<F, R> {
    #[inline]
    pub(super) fn new(function: F, latch: Latch) -> Self {
        Self {
            head: Head::new(Self::execute),
            latch,
            function: UnsafeCell::new(Some(function)),
            result: UnsafeCell::new(None),
        }
    }

    /// The reference to put into a deque.
    ///
    /// # Safety
    /// Called once, and the job is not moved or dropped before the reference was taken back or the latch is set.
    #[inline]
    pub(super) unsafe fn reference(&self) -> JobRef {
        // SAFETY: this function's own contract.
        unsafe { JobRef::new(NonNull::from(self).cast()) }
    }

    /// # Safety
    /// `head` is from `reference`, and this is called once.
    unsafe fn execute(head: NonNull<Head>) {
        // SAFETY: the waiting thread keeps the job alive until the latch is set.
        let job = unsafe { head.cast::<Self>().as_ref() };
        // SAFETY: until the latch is set, only the code that has taken the reference from a deque touches these cells.
        let function = unsafe { (*job.function.get()).take() };
        let function = function.expect("a job is executed once");
        let result = catch_unwind(AssertUnwindSafe(function));
        // SAFETY: as above.
        unsafe { *job.result.get() = Some(result) };
        // The job may be gone as soon as the latch is set.
        // SAFETY: alive until then.
        unsafe { Latch::set(&raw const job.latch) };
    }

    /// Calls the closure on the thread that forked it. Its reference must have been taken back from the deque.
    #[inline]
    pub(super) fn call(self) -> R {
        let function = self.function.into_inner();
        function.expect("a job that was taken back has not run")()
    }

    /// Drops the closure without calling it. Its reference must have been taken back from the deque.
    pub(super) fn give_up(self) {
        discard(self.function.into_inner());
    }

    /// The closure's result from another thread, or its panic. The latch must be set.
    pub(super) fn into_outcome(self) -> thread::Result<R> {
        match self.result.into_inner() {
            Some(outcome) => outcome,
            None => unreachable!("the latch is set after the result"),
        }
    }
}
