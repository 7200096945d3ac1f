//! Waiting for some of many, cancelling none.

use std::cell::Cell;
use std::fmt;
use std::future::{Future, Pending, pending};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::children::{Children, Turn};
use runtime_kernel::budget;
use runtime_kernel::time::{Timeout, timeout};

/// Waits for all of `futures`, or for some: see [`first_completed`](Wait::first_completed),
/// [`first_error`](Wait::first_error) and [`timeout`](Wait::timeout). asyncio's `wait`.
///
/// It **cancels nothing**: futures that have not ended come back in [`Waited::pending`], so that you can await them
/// further, or abort them. Dropping a `Wait` detaches the tasks whose handles it has; to keep them, pass `&mut` of
/// the handles.
///
/// Fairness: all futures are polled at least once, in their order, then those that were woken, in that order. Cost:
/// two allocations; one wake-up polls one future.
///
/// ```
/// # fn main() {}
/// # async fn example() {
/// use std::time::Duration;
/// use runtime_core::{combine::wait, spawn, time::sleep};
///
/// let tasks = [5, 500].map(|ms| spawn(sleep(Duration::from_millis(ms))));
/// let waited = wait(tasks).first_completed().await;
/// assert_eq!((waited.done.len(), waited.pending.len()), (1, 1));
/// for (_, task) in waited.pending {
///     task.abort(); // nobody else does
/// }
/// # }
/// ```
pub fn wait<F: Future + Unpin>(futures: impl IntoIterator<Item = F>) -> Wait<F> {
    Wait {
        children: Children::new(futures),
        done: Vec::new(),
        suffices: |_| false,
        enough: false,
        limit: None,
    }
}

/// The result of a [`wait`]. Both parts have the futures' indices.
#[derive(Debug)]
pub struct Waited<F: Future> {
    /// The outputs of the futures that have ended, in the order in which they ended.
    pub done: Vec<(usize, F::Output)>,
    /// The futures that have not ended, in their order.
    pub pending: Vec<(usize, F)>,
}

/// The future of [`wait`]. Not cancel safe: dropping it drops the outputs that it has collected.
///
/// # Panics
/// With a time-out, if it has to wait and is polled outside a runtime.
#[must_use = "futures do nothing unless polled"]
pub struct Wait<F: Future> {
    children: Children<F>,
    done: Vec<(usize, F::Output)>,
    /// Whether an output ends the wait.
    suffices: fn(&F::Output) -> bool,
    enough: bool,
    /// Boxed, so that a wait can be moved, and because most have no limit.
    limit: Option<Pin<Box<Timeout<Pending<()>>>>>,
}

// Everything pinned is in a box.
impl<F: Future> Unpin for Wait<F> {}

impl<F: Future> Wait<F> {
    /// Waits until the first one has ended, in whichever way. Returns it with all others that have ended by then.
    /// asyncio's `FIRST_COMPLETED`.
    pub fn first_completed(mut self) -> Self {
        self.suffices = |_| true;
        self
    }

    /// Waits for at most `duration`, from now. Those that have ended by then are done; the others are no errors. A
    /// result that is ready takes precedence over the deadline.
    pub fn timeout(mut self, duration: Duration) -> Self {
        self.limit = Some(Box::pin(timeout(duration, pending())));
        self
    }
}

impl<T, E, F: Future<Output = Result<T, E>>> Wait<F> {
    /// Waits for the first error, or for all if there is none. For task handles, a panic and a cancellation are
    /// errors. asyncio's `FIRST_EXCEPTION`.
    pub fn first_error(mut self) -> Self {
        self.suffices = Result::is_err;
        self
    }
}

impl<F: Future + Unpin> Future for Wait<F> {
    type Output = Waited<F>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Waited<F>> {
        // An expired limit, or no futures at all, would spend nothing.
        let begun = ready!(budget::poll_begin(cx));
        let this = &mut *self;
        let enough = Cell::new(this.enough);
        let turn = this.children.poll_in_batches(
            cx,
            |index, output| {
                enough.set(enough.get() || (this.suffices)(&output));
                this.done.push((index, output));
                ControlFlow::Continue(())
            },
            // Those that were due together with the sufficient one count too, and before the deadline.
            |cx| {
                // The children may use up the budget in every poll: the deadline must end that.
                let _lifted = budget::lift();
                let due = |limit: &mut Pin<Box<Timeout<_>>>| limit.as_mut().poll(cx).is_ready();
                if enough.get() || this.limit.as_mut().is_some_and(due) {
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            },
        );
        this.enough = enough.get();
        let over = matches!(turn, Turn::Ended | Turn::Stopped);
        if !over {
            return Poll::Pending;
        }
        begun.completed();
        Poll::Ready(Waited {
            done: std::mem::take(&mut this.done),
            pending: this.children.take_unfinished(),
        })
    }
}

impl<F: Future> fmt::Debug for Wait<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait")
            .field("futures", &self.children.len())
            .field("unfinished", &self.children.alive())
            .finish()
    }
}
