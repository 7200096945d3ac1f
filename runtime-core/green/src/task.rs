//! A green task as a future: its poll resumes the stack.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::task::{Context, Poll};

use corosensei::{Coroutine, CoroutineResult};
use runtime_kernel::task::home::Pinned;
use runtime_kernel::task::{JoinError, StackOverflow, current_name, end_current_with};
use runtime_library::task_local::Suspended;

use crate::link::{Asked, Link, Resumed, Waiting};
use crate::stack::Stack;
use crate::thread;
use crate::wait::Cancelled;

/// What gives a task a larger stack.
const KNOB: &str = "`green::Builder::stack_bytes`";
/// A larger closure is put into a box, so that it does not take the stack that it is to run on.
const LARGEST_ON_STACK: usize = 512;

/// How a green task is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) stack_bytes: usize,
    /// Whether the scheduler may resume it on another thread.
    pub(crate) moves: bool,
}

/// The future of a green task. It does not leave its task, as it must not be moved or dropped elsewhere once it has
/// begun.
pub(crate) struct Green<F, T: 'static> {
    stage: Stage<F, T>,
    settings: Settings,
}

enum Stage<F, T: 'static> {
    New(F),
    Begun(Begun<T>),
    Ended,
}

struct Begun<T: 'static> {
    /// None once it is abandoned.
    coroutine: Option<Coroutine<Resumed, Asked, (), Stack>>,
    link: Link,
    /// What the function has returned.
    output: Option<T>,
    /// What the stack waits for.
    waiting: Option<NonNull<dyn Waiting>>,
    locals: Suspended,
    /// The thread that the stack stays on; none if it may move.
    thread: Option<u64>,
    /// Goes with the stack.
    pinned: Option<Pinned>,
}

// SAFETY: before it has begun, it is a closure that is `Send`. Afterwards, whatever thread it is moved to, its stack is
// resumed and unwound on its own thread only, and leaked elsewhere. A task that may move was made so by unsafe code.
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

    /// Gives the task its stack, and puts the function on it.
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
            link: Link {
                yielder: Cell::new(ptr::null()),
                output: Cell::new(ptr::null_mut()),
                cancelled: Cell::new(false),
                was_panicking: Cell::new(false),
                was_in_task: Cell::new(false),
                guard: stack.guard(),
                base: stack.base_address(),
            },
            coroutine: Some(if size_of::<F>() > LARGEST_ON_STACK {
                coroutine(stack, Box::new(function))
            } else {
                coroutine(stack, function)
            }),
            output: None,
            waiting: None,
            locals: Suspended::new(),
            thread: (!moves).then(thread::number),
            pinned: if moves { None } else { Pinned::here() },
        };
        self.stage = Stage::Begun(begun);
        let Stage::Begun(begun) = &mut self.stage else {
            unreachable!("it was just put there");
        };
        begun.link.output.set((&raw mut begun.output).cast());
        begun
    }
}

fn coroutine<T: 'static>(
    stack: Stack,
    function: impl FnOnce() -> T + 'static,
) -> Coroutine<Resumed, Asked, (), Stack> {
    Coroutine::with_stack(stack, |yielder, _| {
        // SAFETY: whoever resumes a stack makes its link the current one, which stays where it is.
        let link = unsafe { &*Link::current() };
        // Before there is a frame of the function's: from now on an overflow finds its way out.
        link.yielder.set(yielder);
        call(function, link.output.get().cast());
    })
}

/// SAFETY of what it does: `output` is the task's, which stays where it is, and looks at it when the stack has ended.
#[inline(never)]
fn call<T>(function: impl FnOnce() -> T, output: *mut Option<T>) {
    let value = function();
    // SAFETY: as said above.
    unsafe { *output = Some(value) };
}

impl<T> Begun<T> {
    /// Runs the stack until it asks for something. `None`: its function has returned.
    ///
    /// # Panics
    /// With its panic.
    #[inline]
    fn resume(&mut self, resumed: Resumed) -> Option<Asked> {
        let Self {
            coroutine, link, ..
        } = self;
        let coroutine = coroutine.as_mut().expect("it is not abandoned");
        match link.enter(|| coroutine.resume(resumed)) {
            CoroutineResult::Yield(asked) => Some(asked),
            CoroutineResult::Return(()) => None,
        }
    }

    /// Whether the calling thread is the stack's.
    #[inline]
    fn is_at_home(&self) -> bool {
        self.thread.is_none_or(|thread| thread == thread::number())
    }

    #[inline]
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<T> {
        if !self.is_at_home() {
            elsewhere();
        }
        self.locals.resume();
        loop {
            if let Some(mut waiting) = self.waiting {
                // SAFETY: it stands on the stack, which is suspended.
                if unsafe { waiting.as_mut() }.poll(cx).is_pending() {
                    self.locals.suspend();
                    return Poll::Pending;
                }
                self.waiting = None;
            }
            match self.resume(Resumed::Done) {
                Some(Asked::Poll(waiting)) => self.waiting = Some(waiting),
                Some(asked) => self.serve(asked),
                None => {
                    self.locals.suspend();
                    let output = self.output.take();
                    return Poll::Ready(output.expect("the function has returned"));
                }
            }
        }
    }

    /// Does what the stack asks for, other than to poll.
    ///
    /// # Panics
    /// If the stack is never to be resumed. That ends the task.
    #[cold]
    fn serve(&mut self, asked: Asked) {
        match asked {
            Asked::Poll(_) => unreachable!("its poller does that"),
            // SAFETY: it stands on the stack, which is suspended.
            Asked::Call(mut call) => unsafe { call.as_mut()() },
            Asked::Overflowed => {
                let bytes = self.link.stack_bytes();
                self.abandon();
                let task = current_name().unwrap_or_default();
                end_current_with(JoinError::StackOverflow(StackOverflow::new(
                    task, bytes, KNOB,
                )));
            }
            Asked::DestructorWaits => {
                self.abandon();
                panic!(
                    "a destructor of a green task called `green::wait` while the task's stack was being unwound, by an \
                     abort or a panic: destructors must not wait then; spawn a task that does it"
                );
            }
        }
    }

    /// The stack is left as it is, for ever: others may point into it.
    fn abandon(&mut self) {
        if let Some(mut coroutine) = self.coroutine.take() {
            // SAFETY: what is on the stack is not dropped, and the stack is never used again: it is as if every value
            // on it were forgotten, and what points to one finds it.
            unsafe { coroutine.force_reset() };
            coroutine.into_stack().abandon();
        }
    }

    /// Unwinds the stack.
    ///
    /// # Panics
    /// With the panic of a destructor.
    #[cold]
    fn cancel(&mut self) {
        self.link.cancelled.set(true);
        self.locals.resume();
        loop {
            let step = catch_unwind(AssertUnwindSafe(|| self.resume(Resumed::Cancelled)));
            match step {
                Ok(Some(asked)) => self.serve(asked),
                Ok(None) => {
                    self.output = None;
                    break;
                }
                Err(payload) if payload.is::<Cancelled>() => break,
                Err(payload) => {
                    self.locals.suspend();
                    resume_unwind(payload);
                }
            }
        }
        self.locals.suspend();
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
        // SAFETY: nothing is moved out of it but the function, before the stack begins.
        let this = unsafe { self.get_unchecked_mut() };
        let begun = match &mut this.stage {
            Stage::Begun(begun) => begun,
            Stage::New(_) => this.begin(),
            Stage::Ended => unreachable!("a task is not polled after its end"),
        };
        let polled = begun.poll(cx);
        if polled.is_ready() {
            // The stack is free before anybody is told.
            this.stage = Stage::Ended;
        }
        polled
    }
}

impl<T> Drop for Begun<T> {
    fn drop(&mut self) {
        if self.coroutine.as_ref().is_none_or(Coroutine::done) {
            return;
        }
        if self.is_at_home() {
            self.cancel();
        } else {
            // Only its own thread can unwind it, and counts it.
            self.abandon();
            std::mem::forget(self.pinned.take());
        }
    }
}

#[cold]
fn elsewhere() -> ! {
    panic!(
        "this scheduler has moved a green task to another thread, which is unsound: it must queue a task with a home \
         there (`runtime_core::task::home`), or the task must be built by `green::Builder::may_move`"
    );
}
