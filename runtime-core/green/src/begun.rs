//! A stack that has begun: how it is resumed, served and abandoned.
#![allow(unsafe_code)]

use std::any::Any;
use std::cell::Cell;
use std::marker::PhantomPinned;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::task::{Context, Poll};

use corosensei::{Coroutine, CoroutineResult};
use runtime_kernel::task::home::Pinned;
use runtime_kernel::task::{JoinError, StackOverflow, current_name, end_current_with};
use runtime_library::task_local::Suspended;

use crate::link::{Asked, Link};
use crate::stack::Stack;
use crate::thread;

/// The knob that sets a task's stack size.
const KNOB: &str = "`green::Builder::stack_bytes`";

/// A stack that has begun. It is not moved while the stack runs.
pub(crate) struct Begun<T: 'static> {
    /// `None` after the stack was abandoned, or if another task unwinds it.
    pub(crate) coroutine: Option<Coroutine<(), Asked, (), Stack>>,
    pub(crate) link: Link,
    /// What the function returned.
    pub(crate) output: Option<T>,
    pub(crate) locals: Suspended,
    /// The thread that the stack stays on; `None` if it may move.
    pub(crate) thread: Option<u64>,
    /// Moves with the stack.
    pub(crate) pinned: Option<Pinned>,
    /// Its task has ended, and only the unwinding continues.
    pub(crate) is_rest: bool,
    /// Values on the stack point to it, and they look for the link and the output here.
    pub(crate) _stays: PhantomPinned,
}

impl<T> Begun<T> {
    /// Runs the stack until it asks for something. `None`: its function has ended.
    #[inline(always)]
    pub(crate) fn resume(&mut self) -> Option<Asked> {
        let Self {
            coroutine, link, ..
        } = self;
        let coroutine = coroutine.as_mut().expect("it is not abandoned");
        match link.enter(|| coroutine.resume(())) {
            CoroutineResult::Yield(asked) => Some(asked),
            CoroutineResult::Return(()) => None,
        }
    }

    /// Whether the stack belongs to the calling thread.
    #[inline]
    pub(crate) fn is_at_home(&self) -> bool {
        self.thread.is_none_or(|thread| thread == thread::number())
    }

    /// Runs the stack as far as possible. `Ready`: its function has ended.
    ///
    /// # Panics
    /// If the stack must never be resumed. The panic ends the task.
    #[inline]
    pub(crate) fn go_on(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let polls = Cell::new(false);
            // Once for all waits of this poll, because catching costs as much as switching.
            match catch_unwind(AssertUnwindSafe(|| self.run(cx, &polls))) {
                Ok(polled) => return polled,
                Err(payload) if polls.get() => self.hand_over(payload),
                Err(payload) => resume_unwind(payload),
            }
        }
    }

    /// The future that the stack waits for has panicked: passes the panic to the stack.
    #[cold]
    fn hand_over(&mut self, payload: Box<dyn Any + Send>) {
        if let Some(mut waiting) = self.link.waiting.take() {
            // SAFETY: it is on the stack, which is suspended.
            unsafe { waiting.as_mut() }.fail(payload);
        }
    }

    /// `polls` is true during the poll of the future that the stack waits for.
    #[inline]
    fn run(&mut self, cx: &mut Context<'_>, polls: &Cell<bool>) -> Poll<()> {
        loop {
            if let Some(mut waiting) = self.link.waiting.get() {
                polls.set(true);
                // SAFETY: it is on the stack, which is suspended.
                if unsafe { waiting.as_mut() }.poll(cx).is_pending() {
                    return Poll::Pending;
                }
                polls.set(false);
                self.link.waiting.set(None);
            }
            match self.resume() {
                Some(Asked::Poll) => {}
                Some(asked) => self.serve(asked),
                None => return Poll::Ready(()),
            }
        }
    }

    /// Takes the request of the stack, and serves it at once unless it is a poll.
    ///
    /// # Panics
    /// If the stack must never be resumed. The panic ends the task.
    #[cold]
    pub(crate) fn serve(&mut self, asked: Asked) {
        match asked {
            Asked::Poll => {}
            Asked::Call => {
                let mut call = self.link.call.take().expect("it is there");
                // SAFETY: it is on the stack, which is suspended.
                unsafe { call.as_mut()() }
            }
            Asked::Overflowed => self.overflowed(),
        }
    }

    #[cold]
    fn overflowed(&mut self) -> ! {
        let bytes = self.link.stack_bytes();
        if !self.link.is_polled() {
            cut_in_two();
        }
        // The bindings of its scopes are never removed by it, and no other task may find them.
        self.locals.suspend();
        self.abandon();
        let task = current_name().unwrap_or_default();
        let overflow = StackOverflow::new(task, bytes, KNOB);
        end_current_with(JoinError::StackOverflow(overflow));
    }

    /// Leaves the stack as it is, for ever: other code may point into it.
    pub(crate) fn abandon(&mut self) {
        if let Some(mut coroutine) = self.coroutine.take() {
            // SAFETY: nothing on the stack is dropped, and the stack is never used again. It is as if every value on
            // it were forgotten, so every pointer to such a value stays valid.
            unsafe { coroutine.force_reset() };
            coroutine.into_stack().abandon();
        }
    }
}

/// Another task was polled on the stack that overflowed. It can neither continue nor end.
#[cold]
fn cut_in_two() -> ! {
    let task = current_name().unwrap_or_default();
    eprintln!(
        "the task `{task}` was polled on a green task's stack, and has overflowed it: run other tasks in \
         `thread_stack::on_thread_stack`, or give the green task a larger stack with {KNOB}"
    );
    std::process::abort()
}
