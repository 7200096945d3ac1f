//! Waiting in a green task.
#![allow(unsafe_code)]

use std::any::Any;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};
use std::thread;

use runtime_kernel::context;
use runtime_kernel::thread_stack::{self, on_thread_stack};

use crate::link::{Asked, Call, Link, Waiting, erased};

/// The payload of the panic that unwinds the stack of an aborted task.
pub(crate) struct Cancelled;

/// Suspends the calling green task until `future` is ready, and returns its output. Other tasks run meanwhile. It
/// corresponds to `.await` in an `async fn`.
///
/// The future is on the green task's stack. It is polled on the worker's own stack, so its polls may be as deep as
/// those of any task, and it sees the same thread-locals as in any task. It is dropped before this returns.
///
/// Cancel safety: when the task is aborted, the future is dropped first, and then the stack is unwound.
///
/// # Panics
/// With the future's own panic. Also outside a green task, and where a green task can't be suspended: in a future that
/// is being polled (use `.await` there), in `block_in_place` and in a blocking job (use `block_on` there), and in code
/// that the runtime calls in the middle of something else, such as a waker or the comparison of a queue's items.
///
/// A destructor may wait if it runs normally. If it runs because of a panic or an abort, its wait is an error: the
/// task ends with [`JoinError::Panicked`](runtime_kernel::JoinError::Panicked), whose message says so. The wait still
/// completes, so the rest of the stack is dropped; until then the thread counts as panicking. When the runtime ends, it
/// continues such waits after it has dropped all of its tasks, and gives up those that do not complete. The rest of
/// such a stack is leaked, and counted in [`StackStats::abandoned`](crate::StackStats::abandoned).
///
/// ```
/// use runtime_core::{green, yield_now};
///
/// let event_loop = runtime_n1::Loop::new()?;
/// let sum = event_loop.block_on(async {
///     let task = green::spawn(|| {
///         green::wait(yield_now());
///         green::wait(async { 3 }) + 4
///     });
///     task.await.unwrap()
/// });
/// assert_eq!(sum, 7);
/// # Ok::<(), std::io::Error>(())
/// ```
// Inlined into the caller, and so are the thin layers over it. A processor predicts the target of a `ret` from the
// `call`s before it, but the last ones were made on another stack: each `ret` between a resume and the next wait costs
// tens of cycles.
#[inline(always)]
pub fn wait<F: Future>(future: F) -> F::Output {
    let (link, in_trouble) = before();
    let mut at = OnStack {
        future: Some(future),
        output: None,
    };
    // SAFETY: `at` is not moved from here on, and is dropped where it is.
    let pinned: Pin<&mut (dyn Waiting + '_)> = unsafe { Pin::new_unchecked(&mut at) };
    // SAFETY: the receiver uses it only while this stack is suspended.
    link.waiting.set(Some(unsafe { erased(pinned) }));
    // SAFETY: the link is this stack's.
    unsafe { Link::ask(link, Asked::Poll) };
    if in_trouble {
        after_trouble();
    }
    // Drop the future here: this is not an unwinding yet, so its destructor may panic like any other.
    at.future = None;
    match at.output {
        Some(Ok(output)) => output,
        output => unwind(output.and_then(Result::err)),
    }
}

/// The link of the caller's stack, and whether that stack or the thread is being unwound.
///
/// Not inlined into the caller: a caller that continues on another thread must not keep the address of a thread-local
/// of this one. A call that returns between two switches is predicted as usual.
///
/// # Panics
/// Where a green task can't be suspended.
#[inline(never)]
fn before<'a>() -> (&'a Link, bool) {
    // SAFETY: null, or the link of the green task that we are in, which lives as long as its stack.
    let link = unsafe { Link::current().as_ref() };
    let Some(link) = link.filter(|link| link.may_suspend()) else {
        outside()
    };
    let in_trouble = link.cancelled.get() || thread::panicking();
    if in_trouble {
        note_unwinding(link);
    }
    (link, in_trouble)
}

#[cold]
#[inline(never)]
fn after_trouble() {
    // SAFETY: the link of the stack that we are on, wherever it is now.
    unsafe { &*Link::current() }.in_unwinding.set(false);
}

/// Ends the wait with a panic: that of the future, or if the future was not ready, that of an abort.
#[cold]
#[inline(never)]
fn unwind(payload: Option<Box<dyn Any + Send>>) -> ! {
    resume_unwind(payload.unwrap_or_else(|| Box::new(Cancelled)))
}

/// Adds a `wait` method to all futures, for green tasks.
pub trait WaitExt: Future + Sized {
    /// Calls [`wait`] with the future.
    ///
    /// ```
    /// use runtime_core::green::{self, WaitExt};
    ///
    /// let event_loop = runtime_n1::Loop::new()?;
    /// event_loop.block_on(async {
    ///     let task = green::spawn(|| async { 3 }.wait());
    ///     assert_eq!(task.await.unwrap(), 3);
    /// });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Panics
    /// Same as there.
    #[inline(always)]
    fn wait(self) -> Self::Output {
        wait(self)
    }
}

impl<F: Future> WaitExt for F {}

/// Whether the caller is in a green task that may [`wait`].
#[inline(never)]
pub fn is_green() -> bool {
    // SAFETY: as in `before`.
    unsafe { Link::current().as_ref() }.is_some_and(Link::may_suspend)
}

/// Calls `function` on the worker's own stack if the caller is in a green task that has less room than that on its
/// stack; otherwise here.
pub(crate) fn with_room<R>(bytes: usize, function: impl FnOnce() -> R) -> R {
    if has_room(bytes) {
        return function();
    }
    on_thread_stack(function)
}

#[inline(never)]
fn has_room(bytes: usize) -> bool {
    // SAFETY: as in `before`.
    let link = unsafe { Link::current().as_ref() };
    link.is_none_or(|link| link.room() >= bytes)
}

/// Calls `function` on the stack that polls the calling thread's green task.
pub(crate) fn on_poller(function: &mut dyn FnMut()) {
    // SAFETY: as in `before`.
    let Some(link) = (unsafe { Link::current().as_ref() }) else {
        return function();
    };
    let function: NonNull<dyn FnMut() + '_> = NonNull::from(function);
    // SAFETY: it is used only while we are suspended.
    let function = unsafe { std::mem::transmute::<NonNull<dyn FnMut() + '_>, Call>(function) };
    link.call.set(Some(function));
    // SAFETY: the link is this stack's.
    unsafe { Link::ask(link, Asked::Call) };
}

/// Call this before a wait of an aborted task, or on a thread that counts as panicking.
///
/// # Panics
/// If the program has caught the panic that unwinds an aborted stack: the unwinding continues.
#[cold]
#[inline(never)]
fn note_unwinding(link: &Link) {
    let panicking = thread::panicking();
    // Otherwise another stack may be in the middle of its unwinding, in a destructor that waits.
    let is_ours = panicking && (link.cancelled.get() || !link.was_panicking.get());
    if link.cancelled.get() && !is_ours {
        resume_unwind(Box::new(Cancelled));
    }
    if is_ours {
        link.destructor_waited.set(true);
    }
    link.in_unwinding.set(panicking);
}

#[cold]
#[inline(never)]
fn outside() -> ! {
    if thread_stack::is_in_the_middle() {
        panic!(
            "`green::wait` was called by code that the runtime runs in the middle of an operation, such as a \
             scheduler's or a policy's, or while a lock of `primitives` is held: spawn a task that waits"
        );
    }
    if context::in_task() {
        panic!(
            "`green::wait` was called in a task that has no stack of its own: `.await` the future there, or start the \
             task by `green::spawn`. The closures of `join` and `scope` are on no green task's stack either: wait \
             before or after. Nor are wakers, callbacks and comparisons of a queue's items: spawn a task that waits"
        );
    }
    panic!(
        "`green::wait` was called outside of a green task, or in `block_in_place` or a blocking job: start one with \
         `green::spawn`, or use the runtime's `block_on`"
    );
}

/// A future on the stack of the task that waits for it.
struct OnStack<F: Future> {
    future: Option<F>,
    output: Option<thread::Result<F::Output>>,
}

impl<F: Future> Waiting for OnStack<F> {
    #[inline]
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let future = self.future.as_mut().expect("polled until it is ready");
        // SAFETY: `wait` does not move it.
        let future = unsafe { Pin::new_unchecked(future) };
        let Poll::Ready(output) = future.poll(cx) else {
            return Poll::Pending;
        };
        // SAFETY: this is our own place, and its old value needs no drop.
        unsafe { (&raw mut self.output).write(Some(Ok(output))) };
        Poll::Ready(())
    }

    fn fail(&mut self, payload: Box<dyn Any + Send>) {
        self.output = Some(Err(payload));
    }
}
