//! Running a scope to its end.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::error::ScopeError;
use super::handle::TaskScope;
use super::state::{Rest, Shared};
use runtime_kernel::Native;
use runtime_kernel::budget;
use runtime_kernel::contain::{discard, drop_each};
use runtime_kernel::context::{self, Ambient};

/// Runs `body`, which spawns tasks into the scope that it gets, and waits for all of them. asyncio's
/// `async with TaskGroup()`.
/// * **No child outlives it**: it completes when the body and every child have ended, and their futures were dropped.
/// * **The first failure cancels the rest**: if the body or a child returns an error, or a child panics, the body is
///   dropped and all children are aborted. **All errors are collected**, also those that come meanwhile.
/// * **Dropping it** cancels its children, for example when its task is aborted or a time-out expires. A drop can't
///   wait for them: each ends at its next suspension point.
///
/// The body runs inside the awaiting task. Children run on the ambient runtime; [`scope_on`] names another.
///
/// Cancel safe in that nothing is left behind; the values and errors that it has collected are dropped. Fairness:
/// children are ordinary tasks. Cost: one allocation, and for each child what [`TaskScope::spawn`] says; a failure
/// aborts all children, which is linear in their number.
///
/// ```
/// # fn main() {}
/// # async fn example() {
/// use runtime_core::task_scope::scope;
///
/// let sum = scope(|children| async move {
///     let one = children.spawn(async { "1".parse::<u32>() });
///     let two = children.spawn(async { "2".parse::<u32>() });
///     // Either failed: then this does not go on, and the scope returns the error.
///     let (Ok(one), Ok(two)) = (one.await, two.await) else { return Ok(0) };
///     Ok::<_, std::num::ParseIntError>(one + two)
/// });
/// assert_eq!(sum.await.unwrap(), 3);
/// # }
/// ```
///
/// # Errors
/// [`ScopeError`] with all failures: returned errors and panics, including the body's. A child that was cancelled
/// from outside is not an error.
///
/// # Panics
/// Outside a runtime. With the body's own panic, after all children have ended.
pub fn scope<B, F, T, E>(body: B) -> RunScope<F, T, E>
where
    B: FnOnce(TaskScope<E>) -> F,
    F: Future<Output = Result<T, E>>,
{
    run(context::with("scope", Arc::clone), body)
}

/// Like [`scope`], but the children run on `runtime`, whichever the caller's is.
pub fn scope_on<B, F, T, E>(runtime: &impl Native, body: B) -> RunScope<F, T, E>
where
    B: FnOnce(TaskScope<E>) -> F,
    F: Future<Output = Result<T, E>>,
{
    run(Arc::clone(runtime.ambient()), body)
}

pub(super) fn run<B, F, T, E>(ambient: Arc<dyn Ambient>, body: B) -> RunScope<F, T, E>
where
    B: FnOnce(TaskScope<E>) -> F,
{
    let shared = Arc::new(Shared::new(ambient));
    let body = body(TaskScope {
        shared: Arc::clone(&shared),
    });
    RunScope {
        body: Some(body),
        value: None,
        panic: None,
        shared,
    }
}

pin_project! {
    /// The future of [`scope`].
    ///
    /// # Panics
    /// If it is polled after it has completed.
    #[must_use = "futures do nothing unless polled"]
    pub struct RunScope<F, T, E> {
        // `None` once it has ended or was dropped because something failed.
        #[pin]
        body: Option<F>,
        value: Option<T>,
        // The body's panic, to be propagated at the end.
        panic: Option<Box<dyn Any + Send>>,
        shared: Arc<Shared<E>>,
    }

    impl<F, T, E> PinnedDrop for RunScope<F, T, E> {
        fn drop(this: Pin<&mut Self>) {
            this.shared.abort();
        }
    }
}

impl<F, T, E> Future for RunScope<F, T, E>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<T, ScopeError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // It may have neither a body that spends nor children.
        let begun = ready!(budget::poll_begin(cx));
        let mut this = self.project();
        while let Some(body) = this.body.as_mut().as_pin_mut() {
            let ended = catch_unwind(AssertUnwindSafe(|| {
                if this.shared.is_aborting() {
                    return true;
                }
                match body.poll(cx) {
                    Poll::Ready(Ok(value)) => *this.value = Some(value),
                    Poll::Ready(Err(error)) => this.shared.fail(error),
                    Poll::Pending => return false,
                }
                true
            }));
            let ended = ended.and_then(|ended| {
                if ended {
                    catch_unwind(AssertUnwindSafe(|| this.body.set(None)))?;
                }
                Ok(ended)
            });
            match ended {
                Ok(true) => {}
                // Something may have failed while the body was polled: it is then dropped.
                Ok(false) if this.shared.wait_with_body(cx.waker()) => return Poll::Pending,
                Ok(false) => {}
                Err(payload) => {
                    this.panic.get_or_insert(payload);
                    this.shared.abort();
                    // What a panic has left of the body. A second panic has nowhere to go.
                    let rest = catch_unwind(AssertUnwindSafe(|| this.body.set(None)));
                    if let Err(second) = rest {
                        discard(second);
                    }
                }
            }
        }
        let Rest::Done(errors) = this.shared.wait_for_children(cx.waker()) else {
            return Poll::Pending;
        };
        begun.completed();
        if let Some(payload) = this.panic.take() {
            // Not left to the unwinding: a destructor that panics there would end the process.
            drop_each(errors);
            resume_unwind(payload);
        }
        Poll::Ready(match ScopeError::new(errors) {
            Some(error) => Err(error),
            None => Ok(this
                .value
                .take()
                .expect("a scope was polled after it had completed")),
        })
    }
}

impl<F, T, E> fmt::Debug for RunScope<F, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunScope")
            .field("children", &self.shared.children())
            .finish_non_exhaustive()
    }
}
