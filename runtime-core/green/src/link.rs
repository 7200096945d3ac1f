//! What a green task's stack and its poll share, and which green task the calling thread runs.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ops::Range;
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::task::{Context, Poll};

use corosensei::Yielder;
use runtime_kernel::context;

/// What a stack is resumed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resumed {
    /// What it has asked for is done.
    Done,
    /// Its task has been aborted: it is to be unwound.
    Cancelled,
}

/// What a stack asks its poll for.
pub(crate) enum Asked {
    /// Poll this, and resume when it is ready.
    Poll(NonNull<dyn Waiting>),
    /// Call this on the thread's own stack, and resume at once.
    Call(NonNull<dyn FnMut()>),
    /// Never resume: the stack has overflowed.
    Overflowed,
    /// Never resume: a destructor waits while the stack is being unwound.
    DestructorWaits,
}

/// A future on a suspended stack.
pub(crate) trait Waiting {
    /// Polls it. The output, or the panic, stays with it.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// What a green task's stack and its poll share. It stands in the task, and does not move.
pub(crate) struct Link {
    pub(crate) yielder: Cell<*const Yielder<Resumed, Asked>>,
    /// Where the function's output goes: an `Option` of its type.
    pub(crate) output: Cell<*mut ()>,
    /// The task has been aborted.
    pub(crate) cancelled: Cell<bool>,
    /// Whether the thread counted as panicking when it resumed the stack.
    pub(crate) was_panicking: Cell<bool>,
    /// Whether the thread was to run tasks when it resumed the stack. `false` for a task that is run by hand.
    pub(crate) was_in_task: Cell<bool>,
    /// The pages below the stack.
    pub(crate) guard: Range<usize>,
    /// Where its first frame begins.
    pub(crate) base: usize,
}

thread_local! {
    static CURRENT: Cell<*const Link> = const { Cell::new(ptr::null()) };
}

impl Link {
    /// The green task that the calling thread runs, null if none: it polls one, or runs none.
    #[inline]
    pub(crate) fn current() -> *const Self {
        CURRENT.try_with(Cell::get).unwrap_or(ptr::null())
    }

    /// Calls `switch`, which resumes the stack.
    #[inline]
    pub(crate) fn enter<R>(&self, switch: impl FnOnce() -> R) -> R {
        struct Leave(*const Link);
        impl Drop for Leave {
            fn drop(&mut self) {
                CURRENT.set(self.0);
            }
        }
        self.was_panicking.set(std::thread::panicking());
        self.was_in_task.set(context::in_task());
        let _leave = Leave(CURRENT.replace(self));
        switch()
    }

    /// Whether the caller is not on behalf of a blocking call, which the thread may make by now.
    #[inline]
    pub(crate) fn may_suspend(&self) -> bool {
        context::in_task() == self.was_in_task.get()
    }

    /// Suspends the stack that the caller is on.
    #[inline]
    pub(crate) fn ask(&self, asked: Asked) -> Resumed {
        // SAFETY: set when the stack was first resumed, and it lies at the base of the stack that we are on.
        unsafe { &*self.yielder.get() }.suspend(asked)
    }

    /// How large the stack is.
    pub(crate) fn stack_bytes(&self) -> usize {
        (self.base - self.guard.end).next_power_of_two()
    }

    /// How much of the stack is left, in bytes.
    pub(crate) fn room(&self) -> usize {
        let here = 0_u8;
        ptr::from_ref(&here).addr().saturating_sub(self.guard.end)
    }
}

/// Erases how long the future lives.
///
/// # Safety
/// The stack that it is on stays suspended for as long as the pointer is used.
pub(crate) unsafe fn erased<'a>(waiting: Pin<&'a mut (dyn Waiting + 'a)>) -> NonNull<dyn Waiting> {
    // SAFETY: whoever polls it does not move it.
    let waiting: NonNull<dyn Waiting + 'a> = NonNull::from(unsafe { waiting.get_unchecked_mut() });
    // SAFETY: pointers that differ in a lifetime; its use is bounded by this function's contract.
    unsafe { std::mem::transmute::<NonNull<dyn Waiting + 'a>, NonNull<dyn Waiting>>(waiting) }
}
