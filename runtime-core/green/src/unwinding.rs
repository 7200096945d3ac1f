//! How a stack ends if its task ends before its function, by an abort or with its runtime.
//!
//! A panic unwinds the stack, in the destructor of the task's future. If a destructor waits then, that is an error,
//! and the task ends with it. But the stack can't leave that destructor: a panic there would be the second one at a
//! time and end the process, and other code may point to what the destructor has on the stack. So its wait must
//! complete. If it is not ready at once, a task of the runtime takes over the rest of the unwinding, on the same
//! thread. Under 1:1 the thread belongs only to the task, and waits itself. M:N may cancel that task while its worker
//! still works: then the worker takes the rest over when it ends.
//!
//! Meanwhile the thread counts as panicking, because the panic is only caught at the stack's end.
//!
//! If a runtime ends while destructors wait, it continues these waits after it has dropped all of its tasks: they may
//! wait for each other, for timers, for sockets and for other threads. It gives up destructors whose waits do not
//! complete. Such a stack is leaked: the rest of it can't be unwound, and what the destructor waits for may point to
//! it.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::future::Future;
use std::marker::PhantomPinned;
use std::mem;
use std::panic::{Location, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use corosensei::Coroutine;
use runtime_kernel::contain::{contain, discard};
use runtime_kernel::context::{self, Ambient, stay_in};
use runtime_kernel::reactor::own_thread::{ThreadParker, ThreadUnparker};
use runtime_kernel::task::home::Pinned;
use runtime_kernel::task::left_over::{self, LOOK, LeftOver, StallTimeout};
use runtime_kernel::task::{Attributes, Ran, TaskId, bind_pinnable, current_name};

use crate::begun::Begun;
use crate::link::Link;
use crate::thread;
use crate::wait::Cancelled;

impl<T> Begun<T> {
    /// From now on the stack stays on this thread, which counts the panic that unwinds it.
    #[cold]
    pub(crate) fn stay(&mut self) {
        if self.thread.is_none() {
            self.thread = Some(thread::number());
            self.pinned = Pinned::here();
        }
    }

    /// Continues the waiting rest of the unwinding later, on this thread.
    fn unwind_later(&mut self) {
        let Some(ambient) = context::try_with(Arc::clone) else {
            return self.abandon();
        };
        if ambient.has_thread_per_task() {
            return self.unwind_on_own_thread(&*ambient);
        }
        let Err(rest) = left_over::leave(self.rest()) else {
            // The runtime is ending.
            return;
        };
        let unwinding = Unwinding {
            rest: Some(rest),
            thread: thread::number(),
            pinned: None,
            begun: false,
        };
        let name = format!("unwinding of {}", current_name().unwrap_or_default());
        let name = Some((name.into(), Location::caller()));
        let scheduler = ambient.scheduler_for_new_task();
        let (task, handle) = bind_pinnable(&scheduler, name, Attributes::default(), unwinding);
        drop(handle);
        // The first poll is here, which pins it. It does not touch the stack.
        let ran = task.run();
        let waker = FIRST_WAKER.take();
        // Otherwise its runtime is ending, and has cancelled it meanwhile.
        if matches!(ran, Ran::Parked) {
            waker.expect("it has left one").wake();
        }
    }

    /// Continues the rest of the unwinding on this thread, which belongs only to the task.
    fn unwind_on_own_thread(&mut self, ambient: &dyn Ambient) {
        // The thread also waits for its task's sockets with this parker.
        let parker = ThreadParker::current_or_install();
        let waker = Waker::from(Arc::new(Unpark(parker.unparker())));
        let mut stall: Option<StallTimeout> = None;
        while LeftOver::go_on(self, &mut Context::from_waker(&waker)).is_pending() {
            if ambient.has_ended() && stall.get_or_insert_with(StallTimeout::begin).is_over() {
                return self.abandon();
            }
            parker.park(Some(Instant::now() + LOOK));
            ambient.timer_shard().fire(ambient.clock().now());
        }
    }

    /// The stack, without its task.
    fn rest(&mut self) -> Box<Self> {
        let mut rest = Box::new(Self {
            coroutine: self.coroutine.take(),
            link: self.link.moved(),
            output: None,
            locals: mem::take(&mut self.locals),
            thread: Some(thread::number()),
            pinned: None,
            is_rest: true,
            _stays: PhantomPinned,
        });
        rest.link.output.set((&raw mut rest.output).cast());
        rest
    }
}
impl<T> LeftOver for Begun<T> {
    #[cold]
    fn go_on(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.coroutine.is_none() {
            // It has overflowed since, and was abandoned.
            return Poll::Ready(());
        }
        // If a destructor has entered a runtime and waits, the caller must not end up in that runtime.
        stay_in(|| self.unwind(cx))
    }
}

impl<T> Begun<T> {
    fn unwind(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.locals.resume();
        // A separate task may do it.
        self.link.task = TaskId::current();
        self.link.begin();
        let Link {
            in_unwinding,
            destructor_waited,
            cancelled,
            ..
        } = &self.link;
        let polled = if in_unwinding.get() && destructor_waited.get() {
            // Code that catches the panic finds out at the next wait.
            cancelled.set(true);
            Begun::go_on(self, cx)
        } else if in_unwinding.get() && std::thread::panicking() {
            // It may be part of the unwinding. If not, the stack finds out when the thread no longer counts as
            // panicking.
            Begun::go_on(self, cx)
        } else {
            cancelled.set(true);
            self.link.waiting.set(None);
            match self.resume() {
                Some(asked) => {
                    self.serve(asked);
                    Begun::go_on(self, cx)
                }
                None => Poll::Ready(()),
            }
        };
        self.locals.suspend();
        polled
    }
}

impl<T> Drop for Begun<T> {
    fn drop(&mut self) {
        if self.coroutine.as_ref().is_none_or(Coroutine::done) {
            if self.link.guard_is_open.get() {
                // The next task would have an incomplete guard.
                self.abandon();
            }
            return;
        }
        if !self.is_at_home() {
            // Only its own thread, which counts its panic, can unwind it.
            self.abandon();
            return mem::forget(self.pinned.take());
        }
        if self.is_rest {
            // It is given up.
            return self.abandon();
        }
        let mut cx = Context::from_waker(Waker::noop());
        if LeftOver::go_on(self, &mut cx).is_pending() {
            self.unwind_later();
        }
        let payload = self.link.payload.take();
        if self.link.destructor_waited.get() {
            discard(payload);
            destructor_waited();
        }
        if let Some(payload) = payload.filter(|payload| !payload.is::<Cancelled>()) {
            resume_unwind(payload);
        }
    }
}

thread_local! {
    /// The waker by which a task that unwinds a stack is started.
    static FIRST_WAKER: Cell<Option<Waker>> = const { Cell::new(None) };
}

/// The task that unwinds the rest of a stack.
struct Unwinding {
    /// `None` after it has ended.
    rest: Option<Box<dyn LeftOver>>,
    /// The thread of the stack.
    thread: u64,
    pinned: Option<Pinned>,
    begun: bool,
}

// SAFETY: whatever thread it is moved to, its stack is resumed and unwound only on its own thread: `poll` and `drop`
// check the thread.
unsafe impl Send for Unwinding {}

impl Future for Unwinding {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.begun {
            self.begun = true;
            self.pinned = Pinned::here();
            FIRST_WAKER.set(Some(cx.waker().clone()));
            return Poll::Pending;
        }
        if self.thread != thread::number() {
            // Our schedulers don't move it. The stack is leaked, because it can't be unwound here.
            mem::forget(self.pinned.take());
            self.rest = None;
            return Poll::Ready(());
        }
        let rest = self.rest.as_mut().expect("polled until it has ended");
        let unwound = rest.go_on(cx);
        if unwound.is_ready() {
            self.rest = None;
        }
        unwound
    }
}

impl Drop for Unwinding {
    fn drop(&mut self) {
        let Some(rest) = self.rest.take() else {
            return;
        };
        if self.thread != thread::number() {
            return mem::forget(self.pinned.take());
        }
        let Err(mut rest) = left_over::leave(rest) else {
            return;
        };
        // Its runtime is ending, and has cancelled it before this thread begins to drop tasks. A wait for it here would
        // keep the thread from the work that completes it.
        let mut cx = Context::from_waker(Waker::noop());
        match contain(|| rest.go_on(&mut cx)) {
            Some(Poll::Pending) => left_over::leave_early(rest),
            _ => discard(rest),
        }
    }
}

/// Wakes the thread of a 1:1 task.
struct Unpark(ThreadUnparker);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Ends a task one of whose destructors waited while its stack was being unwound.
///
/// # Panics
/// Always: the panic ends the task.
pub(crate) fn destructor_waited() -> ! {
    panic!(
        "a destructor of a green task called `green::wait` while the task's stack was being unwound, by an abort or a \
         panic: destructors must not wait then; spawn a task that does it"
    );
}
