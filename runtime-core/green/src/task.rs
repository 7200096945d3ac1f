//! A green task as a future: its poll resumes the stack.
#![allow(unsafe_code)]

use std::future::Future;
use std::marker::PhantomPinned;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use corosensei::Coroutine;
use runtime_kernel::contain::discard;
use runtime_kernel::task::home::Pinned;
use runtime_kernel::task::{JoinError, end_current_with};
use runtime_library::task_local::Suspended;

use crate::begun::Begun;
use crate::link::{Asked, Link};
use crate::stack::Stack;
use crate::{thread, unwinding};

/// A larger closure is boxed, so that it does not use up the stack that it runs on.
const MAX_BYTES_ON_STACK: usize = 512;
/// A closure with a larger alignment is boxed, too: it would move the first frame far from the top of the stack.
const MAX_ALIGNMENT: usize = 16;

/// How a green task is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) stack_bytes: usize,
    /// Whether the scheduler may resume it on another thread.
    pub(crate) moves: bool,
}

/// The future of a green task. It stays in its task, because it must not be moved or dropped elsewhere once it has
/// begun.
pub(crate) struct Green<F, T: 'static> {
    stage: Stage<F, T>,
    settings: Settings,
}

// It must not move after it has begun, and it does not move in its task. A box would cost an allocation per task.
#[allow(clippy::large_enum_variant)]
enum Stage<F, T: 'static> {
    New(F),
    Begun(Begun<T>),
    Ended,
}

// SAFETY: before it has begun, it is a closure that is `Send`. Afterwards, whatever thread it is moved to, its stack
// is resumed and unwound only on its own thread, and leaked elsewhere. A task that may move was created by unsafe
// code; it stays on one thread as soon as its unwinding waits.
unsafe impl<F: Send, T: Send> Send for Green<F, T> {}

impl<F, T> Green<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    pub(crate) fn new(function: F, settings: Settings) -> Self {
        Self {
            stage: Stage::New(function),
            settings,
        }
    }

    /// Gives the task a stack, and puts the function on it.
    fn begin(&mut self) -> &mut Begun<T> {
        let stack = match Stack::take(self.settings.stack_bytes) {
            Ok(stack) => stack,
            Err(error) => end_current_with(JoinError::SpawnFailed(error)),
        };
        thread::prepare();
        let Stage::New(function) = std::mem::replace(&mut self.stage, Stage::Ended) else {
            unreachable!("a task begins once");
        };
        let moves = self.settings.moves;
        let begun = Begun {
            link: Link::new(stack.guard(), stack.base_address()),
            coroutine: Some(if is_boxed::<F>() {
                coroutine(stack, Box::new(function))
            } else {
                coroutine(stack, function)
            }),
            output: None,
            locals: Suspended::new(),
            thread: (!moves).then(thread::number),
            pinned: if moves { None } else { Pinned::here() },
            is_rest: false,
            _stays: PhantomPinned,
        };
        self.stage = Stage::Begun(begun);
        let Stage::Begun(begun) = &mut self.stage else {
            unreachable!("it was just put there");
        };
        begun.link.output.set((&raw mut begun.output).cast());
        begun
    }
}

const fn is_boxed<F>() -> bool {
    size_of::<F>() > MAX_BYTES_ON_STACK || align_of::<F>() > MAX_ALIGNMENT
}

fn coroutine<T: 'static>(
    stack: Stack,
    function: impl FnOnce() -> T + 'static,
) -> Coroutine<(), Asked, (), Stack> {
    Coroutine::with_stack(stack, |yielder, ()| {
        // Before there is a frame of the function: from now on the overflow handler can leave the stack.
        running().yielder.set(yielder);
        call(function);
    })
}

/// The link of the caller's stack. It may move when the stack is suspended.
#[inline]
fn running<'a>() -> &'a Link {
    // SAFETY: the code that resumes a stack makes its link the current one, and the link stays where it is until the
    // stack suspends.
    unsafe { &*Link::current() }
}

/// Passes the function's output or panic to the stack's poll.
#[inline(never)]
fn call<T>(function: impl FnOnce() -> T) {
    let called = catch_unwind(AssertUnwindSafe(|| {
        let value = function();
        // SAFETY: it is the place for the output of this function, and its owner reads it only after the stack has
        // ended.
        unsafe { *running().output.get().cast::<Option<T>>() = Some(value) };
    }));
    if let Err(payload) = called {
        running().payload.set(Some(payload));
    }
}

impl<T> Begun<T> {
    #[inline]
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<T> {
        if !self.is_at_home() {
            elsewhere();
        }
        if self.thread.is_none() {
            // The thread may be another one than before.
            thread::prepare();
        }
        self.locals.resume();
        self.link.begin();
        let polled = self.go_on(cx);
        self.locals.suspend();
        if polled.is_pending() {
            if self.link.in_unwinding.get() {
                self.stay();
            }
            return Poll::Pending;
        }
        match self.output.take() {
            Some(output) if !self.link.destructor_waited.get() => Poll::Ready(output),
            output => {
                drop(output);
                self.fail()
            }
        }
    }

    /// Ends the task whose function has ended without a valid output.
    ///
    /// # Panics
    /// Always: the panic ends the task.
    #[cold]
    fn fail(&mut self) -> ! {
        let payload = self.link.payload.take();
        if self.link.destructor_waited.get() {
            discard(payload);
            unwinding::destructor_waited();
        }
        resume_unwind(payload.expect("a function that gives no output has panicked"))
    }
}

impl<F, T> Future for Green<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    type Output = T;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        // SAFETY: only the function is moved out of it, before the stack begins.
        let this = unsafe { self.get_unchecked_mut() };
        let begun = match &mut this.stage {
            Stage::Begun(begun) => begun,
            Stage::New(_) => this.begin(),
            Stage::Ended => unreachable!("a task is not polled after its end"),
        };
        let polled = begun.poll(cx);
        if polled.is_ready() {
            // The stack is free before any waiter is woken.
            this.stage = Stage::Ended;
        }
        polled
    }
}

#[cold]
fn elsewhere() -> ! {
    panic!(
        "this scheduler has moved a green task to another thread, which is unsound: it must queue a task with a home \
         there (`runtime_core::task::home`), or the task must be built by `green::Builder::may_move`"
    );
}
