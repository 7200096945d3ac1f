//! Waiting in a green task.
#![allow(unsafe_code)]

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};
use std::thread;

use runtime_kernel::context;

use crate::link::{Asked, Link, Resumed, Waiting, erased};

/// The payload by which the stack of an aborted task is unwound.
pub(crate) struct Cancelled;

/// Suspends the green task that the caller is in until `future` is ready, and returns its output. Other tasks run
/// meanwhile. It is what `.await` is in an `async fn`.
///
/// The future stands on the green task's stack. It is polled on the worker's own stack, so its polls may be as deep as
/// those of any task, and what it finds in thread-locals is the same as in any task. It is dropped before this returns.
///
/// Cancel safety: when the task is aborted, the future is dropped first, and then the stack is unwound.
///
/// # Panics
/// With the future's own panic. Outside of a green task, and where a green task can't be suspended: in a future that is
/// being polled (use `.await` there), in `block_in_place` and in a blocking job (use `block_on` there).
///
/// In a destructor that runs because of a panic or an abort, a wait ends the task with
/// [`JoinError::Panicked`](runtime_kernel::JoinError::Panicked), and the rest of its stack is left as it is: nothing on
/// it is dropped any more. A destructor may wait if it is called in the ordinary course.
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
pub fn wait<F: Future>(future: F) -> F::Output {
    // SAFETY: null, or the link of the green task that we are in, which lives as long as its stack.
    let link = unsafe { Link::current().as_ref() };
    let Some(link) = link.filter(|link| link.may_suspend()) else {
        // Not in a frame of every wait.
        outside()
    };
    if link.cancelled.get() || thread::panicking() {
        refuse(link);
    }
    let mut at = OnStack {
        future: Some(future),
        output: None,
    };
    // SAFETY: `at` is not moved from here on; it is dropped where it is.
    let pinned: Pin<&mut (dyn Waiting + '_)> = unsafe { Pin::new_unchecked(&mut at) };
    // SAFETY: whoever gets it uses it while we are suspended.
    let resumed = link.ask(Asked::Poll(unsafe { erased(pinned) }));
    // Here: this is no unwinding yet, so that its destructor may panic like any.
    at.future = None;
    match (resumed, at.output) {
        (Resumed::Done, Some(Ok(output))) => output,
        (Resumed::Done, Some(Err(payload))) => resume_unwind(payload),
        (Resumed::Done, None) => unreachable!("it is resumed when the future is ready"),
        (Resumed::Cancelled, _) => resume_unwind(Box::new(Cancelled)),
    }
}

/// Futures that a green task can wait for by a method.
pub trait WaitExt: Future + Sized {
    /// [`wait`] for it.
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
    /// As there.
    fn wait(self) -> Self::Output {
        wait(self)
    }
}

impl<F: Future> WaitExt for F {}

/// Whether the caller is in a green task and may [`wait`].
pub fn is_green() -> bool {
    // SAFETY: as in `wait`.
    unsafe { Link::current().as_ref() }.is_some_and(Link::may_suspend)
}

/// Calls `function` on the worker's own stack, if the caller is in a green task with less room than that on its stack;
/// else here.
pub(crate) fn with_room<R>(bytes: usize, function: impl FnOnce() -> R) -> R {
    // SAFETY: as in `wait`.
    let link = unsafe { Link::current().as_ref() };
    let Some(link) = link.filter(|link| link.room() < bytes) else {
        return function();
    };
    let (mut function, mut output) = (Some(function), None);
    let mut call = || {
        let function = function.take().expect("called once");
        output = Some(catch_unwind(AssertUnwindSafe(function)));
    };
    let call: NonNull<dyn FnMut() + '_> = NonNull::from(&mut call);
    // SAFETY: it is used while we are suspended.
    let call =
        unsafe { std::mem::transmute::<NonNull<dyn FnMut() + '_>, NonNull<dyn FnMut()>>(call) };
    link.ask(Asked::Call(call));
    match output.expect("it was called") {
        Ok(output) => output,
        Err(payload) => resume_unwind(payload),
    }
}

/// The task is aborted, or its stack is being unwound.
#[cold]
fn refuse(link: &Link) {
    let unwinds = thread::panicking() && (link.cancelled.get() || !link.was_panicking.get());
    if unwinds {
        // A panic in here would meet the one that unwinds, and end the process.
        link.ask(Asked::DestructorWaits);
        unreachable!("it is never resumed");
    }
    if link.cancelled.get() {
        // Somebody has caught what was to unwind the stack.
        resume_unwind(Box::new(Cancelled));
    }
}

#[cold]
fn outside() -> ! {
    if !Link::current().is_null() {
        panic!(
            "`green::wait` was called where a green task can't be suspended: in `block_in_place` or on behalf of a \
             blocking call, use `block_on`"
        );
    }
    if context::in_task() {
        panic!(
            "`green::wait` was called in a task that has no stack of its own: `.await` the future there, or start the \
             task by `green::spawn`"
        );
    }
    panic!(
        "`green::wait` was called outside of a green task: start one by `green::spawn`, or use the runtime's `block_on`"
    );
}

/// A future on the stack of the task that waits for it.
struct OnStack<F: Future> {
    future: Option<F>,
    output: Option<thread::Result<F::Output>>,
}

impl<F: Future> Waiting for OnStack<F> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let future = self.future.as_mut().expect("polled until it is ready");
        // SAFETY: `wait` does not move it.
        let future = unsafe { Pin::new_unchecked(future) };
        let polled = catch_unwind(AssertUnwindSafe(|| future.poll(cx)));
        self.output = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Some(Ok(output)),
            Err(payload) => Some(Err(payload)),
        };
        Poll::Ready(())
    }
}
