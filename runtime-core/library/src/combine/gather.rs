//! The outputs of many futures, in the order of the futures.

use std::fmt;
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::children::{Children, Turn};
use super::rule::{EveryOutcome, FirstError, FirstFailure, Rule};
use crate::runtime::TaskHandle;
use runtime_kernel::budget;
use runtime_kernel::contain::contain;

/// The values of all `tasks`, in their order, or the first error. asyncio's `gather(*tasks)`.
///
/// The first error (a panic, a task that was cancelled) is returned at once; **the other tasks continue**, but
/// nothing waits for them. If the gather is dropped before that, for example because a time-out expires or its own
/// task is aborted, it **aborts** all tasks that have not ended. To cancel and await the rest at the first error, use
/// a [scope](crate::task_scope).
///
/// Fairness: outcomes are taken in the order in which the tasks end. Cost: two allocations and a vector of values; one
/// wake-up polls one handle, however many there are.
///
/// ```
/// # fn main() {}
/// # async fn example() -> Result<(), runtime_core::JoinError> {
/// use runtime_core::{combine::gather, spawn};
///
/// let tasks = (1..=3_u32).map(|number| spawn(async move { number * number }));
/// assert_eq!(gather(tasks).await?, [1, 4, 9]);
/// # Ok(())
/// # }
/// ```
pub fn gather<H, T>(tasks: impl IntoIterator<Item = H>) -> Gather<H, FirstError>
where
    H: TaskHandle<T>,
{
    Gather::new(tasks, H::abort)
}

/// The outcomes of all `tasks`, in their order, including errors. asyncio's `gather(*tasks, return_exceptions=True)`.
///
/// If it is dropped before all have ended, it aborts those that have not. Fairness and cost: the same as
/// [`gather`]'s.
pub fn gather_outcomes<H, T>(tasks: impl IntoIterator<Item = H>) -> Gather<H, EveryOutcome>
where
    H: TaskHandle<T>,
{
    Gather::new(tasks, H::abort)
}

/// Like [`gather`], for tasks that return a `Result` themselves: an error that a task returns counts like a panic.
///
/// ```
/// # fn main() {}
/// # async fn example() {
/// use runtime_core::{combine::{TaskError, try_gather}, spawn};
///
/// let parse = |text: &'static str| spawn(async move { text.parse::<u32>() });
/// assert_eq!(try_gather([parse("1"), parse("2")]).await.unwrap(), [1, 2]);
/// assert!(matches!(try_gather([parse("1"), parse("two")]).await, Err(TaskError::Failed(_))));
/// # }
/// ```
pub fn try_gather<H, T, E>(tasks: impl IntoIterator<Item = H>) -> Gather<H, FirstFailure>
where
    H: TaskHandle<Result<T, E>>,
{
    Gather::new(tasks, H::abort)
}

/// The outputs of all `futures`, in their order. The futures are not tasks: they run inside the awaiting task, one at
/// a time, and are dropped with the returned future. Fairness and cost: the same as [`gather`]'s. asyncio's `gather`
/// makes a task of each.
///
/// ```
/// use runtime_core::{combine::join_all, park::block_on_current_thread};
///
/// let doubled = block_on_current_thread(join_all([1, 2, 3].map(|number| async move { number * 2 })));
/// assert_eq!(doubled, [2, 4, 6]);
/// ```
pub fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Gather<F, EveryOutcome> {
    Gather::new(futures, |_| ())
}

/// The values of all `futures`, in their order, or the first error. An error drops the other futures. See
/// [`join_all`].
///
/// # Errors
/// The first one in time, not in order.
pub fn try_join_all<F, T, E>(futures: impl IntoIterator<Item = F>) -> Gather<F, FirstError>
where
    F: Future<Output = Result<T, E>>,
{
    Gather::new(futures, |_| ())
}

/// The future of [`gather`], [`gather_outcomes`], [`try_gather`], [`join_all`] and [`try_join_all`]; the rule
/// distinguishes them.
///
/// Not cancel safe: dropping it drops the values that it has collected. To be able to stop waiting, await `&mut` of
/// it.
///
/// # Panics
/// If it is polled after it has completed. A panic of an inner future is propagated.
#[must_use = "futures do nothing unless polled"]
pub struct Gather<F: Future, R: Rule<F::Output>> {
    children: Children<F>,
    values: Vec<Option<R::Value>>,
    /// What is done to unfinished children when the gather is dropped before it has completed.
    abandon: fn(&F),
    completed: bool,
}

impl<F: Future, R: Rule<F::Output>> Gather<F, R> {
    fn new(futures: impl IntoIterator<Item = F>, abandon: fn(&F)) -> Self {
        let children = Children::new(futures);
        Self {
            values: (0..children.len()).map(|_| None).collect(),
            children,
            abandon,
            completed: false,
        }
    }
}

// Only the futures are pinned, and they are in a box.
impl<F: Future, R: Rule<F::Output>> Unpin for Gather<F, R> {}

impl<F: Future, R: Rule<F::Output>> Future for Gather<F, R> {
    type Output = R::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R::Output> {
        let this = &mut *self;
        assert!(
            !this.completed,
            "a gather was polled after it had completed"
        );
        // It may have no future that spends.
        let begun = ready!(budget::poll_begin(cx));
        let mut early = None;
        let turn = this
            .children
            .poll(cx, |index, output| match R::judge(output) {
                ControlFlow::Continue(value) => {
                    this.values[index] = Some(value);
                    ControlFlow::Continue(())
                }
                ControlFlow::Break(output) => {
                    early = Some(output);
                    ControlFlow::Break(())
                }
            });
        let output = match (early, turn) {
            (Some(output), _) => output,
            (None, Turn::Ended) => R::all(
                std::mem::take(&mut this.values)
                    .into_iter()
                    .flatten()
                    .collect(),
            ),
            (None, Turn::Waiting | Turn::Again | Turn::Stopped) => return Poll::Pending,
        };
        begun.completed();
        this.completed = true;
        Poll::Ready(output)
    }
}

impl<F: Future, R: Rule<F::Output>> Drop for Gather<F, R> {
    fn drop(&mut self) {
        if !self.completed {
            let abandon = self.abandon;
            for child in self.children.unfinished() {
                // If one panics, the others are not affected.
                contain(|| abandon(child));
            }
        }
    }
}

impl<F: Future, R: Rule<F::Output>> fmt::Debug for Gather<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gather")
            .field("futures", &self.children.len())
            .field("unfinished", &self.children.alive())
            .finish()
    }
}
