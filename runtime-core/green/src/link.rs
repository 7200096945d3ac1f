//! The state that a green task's stack and its poll share, and which green task the calling thread runs.
#![allow(unsafe_code)]

use std::any::Any;
use std::cell::Cell;
use std::ops::Range;
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::task::{Context, Poll};

use corosensei::Yielder;
use runtime_kernel::context;
use runtime_kernel::task::TaskId;
use runtime_kernel::thread_stack;

/// What a stack asks its poll for. Values that are larger than a register are in the [`Link`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Poll [the future for which it waits](Link::waiting), and resume when it is ready.
    Poll,
    /// Call [the function](Link::call) on the thread's own stack, and resume at once.
    Call,
    /// Never resume: the stack has overflowed.
    Overflowed,
}

/// A future on a suspended stack.
pub(crate) trait Waiting {
    /// Polls the future. The output stays in it.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Stores the panic of its poll.
    fn fail(&mut self, payload: Box<dyn Any + Send>);
}

/// A function that a suspended stack has asked for.
pub(crate) type Call = NonNull<dyn FnMut()>;

/// What a green task's stack and its poll share. It is next to the coroutine, and moves only while the stack is
/// suspended: code on the stack fetches [the current link](Link::current) again after each wait.
pub(crate) struct Link {
    pub(crate) yielder: Cell<*const Yielder<(), Asked>>,
    /// How many critical sections (`in_the_middle`) the suspended stack is in.
    middle: Cell<u32>,
    /// The future that the stack waits for, until it is ready.
    pub(crate) waiting: Cell<Option<NonNull<dyn Waiting>>>,
    pub(crate) call: Cell<Option<Call>>,
    /// Where the function's output goes: an `Option` of its type.
    pub(crate) output: Cell<*mut ()>,
    /// The panic of the function.
    pub(crate) payload: Cell<Option<Box<dyn Any + Send>>>,
    /// The task was aborted. The stack finds out at its next wait.
    pub(crate) cancelled: Cell<bool>,
    /// A destructor waited while the stack was being unwound.
    pub(crate) destructor_waited: Cell<bool>,
    /// The present wait may come from a destructor that an unwinding calls: a panic in it would end the process.
    pub(crate) in_unwinding: Cell<bool>,
    /// Whether the thread counted as panicking when the poll began.
    pub(crate) was_panicking: Cell<bool>,
    /// Whether the thread was in a task when the poll began. `false` for a task that is run by hand.
    pub(crate) was_in_task: Cell<bool>,
    /// The task whose poll began the stack, or that unwinds it.
    pub(crate) task: Option<TaskId>,
    /// The pages below the stack.
    pub(crate) guard: Range<usize>,
    /// A part of the guard was opened for a function that has overflowed into it.
    pub(crate) guard_is_open: Cell<bool>,
    /// Where its first frame begins.
    pub(crate) base: usize,
}

impl Link {
    pub(crate) fn new(guard: Range<usize>, base: usize) -> Self {
        Self {
            yielder: Cell::new(ptr::null()),
            middle: Cell::new(0),
            waiting: Cell::new(None),
            call: Cell::new(None),
            output: Cell::new(ptr::null_mut()),
            payload: Cell::new(None),
            cancelled: Cell::new(false),
            destructor_waited: Cell::new(false),
            in_unwinding: Cell::new(false),
            was_panicking: Cell::new(false),
            was_in_task: Cell::new(false),
            task: TaskId::current(),
            guard,
            guard_is_open: Cell::new(false),
            base,
        }
    }

    /// The link of the same suspended stack, at a new place.
    pub(crate) fn moved(&self) -> Self {
        Self {
            yielder: self.yielder.clone(),
            middle: self.middle.clone(),
            waiting: Cell::new(self.waiting.take()),
            call: Cell::new(None),
            output: Cell::new(ptr::null_mut()),
            payload: Cell::new(self.payload.take()),
            cancelled: self.cancelled.clone(),
            destructor_waited: self.destructor_waited.clone(),
            in_unwinding: self.in_unwinding.clone(),
            was_panicking: self.was_panicking.clone(),
            was_in_task: self.was_in_task.clone(),
            task: self.task,
            guard: self.guard.clone(),
            guard_is_open: self.guard_is_open.clone(),
            base: self.base,
        }
    }

    /// The green task that the calling thread runs. Null if the thread runs none.
    #[inline]
    pub(crate) fn current() -> *const Self {
        thread_stack::other().cast()
    }

    /// Call this when a poll or an unwinding begins.
    #[inline]
    pub(crate) fn begin(&self) {
        self.was_panicking.set(std::thread::panicking());
        self.was_in_task.set(context::in_task());
    }

    /// Calls `switch`, which resumes the stack.
    #[inline]
    pub(crate) fn enter<R>(&self, switch: impl FnOnce() -> R) -> R {
        struct Leave<'a> {
            before: *const (),
            middle: u32,
            link: &'a Link,
        }
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                // SAFETY: both were noted before, by an enclosing `enter`.
                unsafe {
                    thread_stack::replace_other(self.before);
                    self.link
                        .middle
                        .set(thread_stack::replace_middle(self.middle));
                }
            }
        }
        // SAFETY: the link stays where it is while it is borrowed, and the count is that of its own stack.
        let _leave = unsafe {
            Leave {
                before: thread_stack::replace_other(ptr::from_ref(self).cast()),
                middle: thread_stack::replace_middle(self.middle.get()),
                link: self,
            }
        };
        switch()
    }

    /// Whether the caller is the green task itself: neither another task that is polled on its stack, nor code in
    /// `block_in_place`, where the thread may block, nor code of others that the runtime calls while something of its
    /// own is half done.
    #[inline]
    pub(crate) fn may_suspend(&self) -> bool {
        context::in_task() == self.was_in_task.get()
            && self.is_polled()
            && !thread_stack::is_in_the_middle()
    }

    /// Whether the calling thread polls this green task.
    #[inline]
    pub(crate) fn is_polled(&self) -> bool {
        TaskId::current() == self.task
    }

    /// Suspends the caller's stack.
    ///
    /// # Safety
    /// It is the link of that stack. It may have moved when this returns.
    #[inline]
    pub(crate) unsafe fn ask(this: *const Self, asked: Asked) {
        // SAFETY: by this function's contract.
        let yielder = unsafe { (*this).yielder.get() };
        // SAFETY: set when the stack was first resumed; it lies at the base of the stack that we are on.
        unsafe { &*yielder }.suspend(asked)
    }

    /// The size of the stack.
    pub(crate) fn stack_bytes(&self) -> usize {
        (self.base - self.guard.end).next_power_of_two()
    }

    /// The bytes that are left on the stack.
    pub(crate) fn room(&self) -> usize {
        let here = 0_u8;
        ptr::from_ref(&here).addr().saturating_sub(self.guard.end)
    }
}

/// Erases the lifetime of the future.
///
/// # Safety
/// The stack that holds it stays suspended for as long as the pointer is used.
#[inline]
pub(crate) unsafe fn erased<'a>(waiting: Pin<&'a mut (dyn Waiting + 'a)>) -> NonNull<dyn Waiting> {
    // SAFETY: the code that polls it does not move it.
    let waiting: NonNull<dyn Waiting + 'a> = NonNull::from(unsafe { waiting.get_unchecked_mut() });
    // SAFETY: the pointers differ only in a lifetime; this function's contract bounds its use.
    unsafe { std::mem::transmute::<NonNull<dyn Waiting + 'a>, NonNull<dyn Waiting>>(waiting) }
}
