//! The outputs of many futures, in the order in which they arrive.

use std::fmt;
use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::children::{Children, Turn};
use runtime_kernel::budget;

/// Yields the output of each of `futures` as soon as it has completed, with its index. asyncio's `as_completed`.
///
/// Takes any futures, and handles of tasks. It cancels nothing: when dropped, it detaches the tasks whose handles it
/// has, and drops futures that are not tasks.
///
/// Cancel safe: a dropped [`next`](AsCompleted::next) loses nothing. Fairness: outputs come in the order in which
/// their futures were woken. Cost: two allocations; one wake-up polls one future.
///
/// ```
/// use runtime_core::{combine::as_completed, park::block_on_current_thread, sync::oneshot};
///
/// let (senders, receivers): (Vec<_>, Vec<_>) = (0..3).map(|_| oneshot::channel()).unzip();
/// std::thread::spawn(move || {
///     for (number, sender) in senders.into_iter().enumerate().rev() {
///         sender.send(number).unwrap();
///     }
/// });
/// block_on_current_thread(async {
///     let mut completed = as_completed(receivers);
///     let mut sum = 0;
///     while let Some((index, number)) = completed.next().await {
///         assert_eq!(number, Ok(index));
///         sum += index;
///     }
///     assert_eq!(sum, 3);
/// });
/// ```
pub fn as_completed<F: Future>(futures: impl IntoIterator<Item = F>) -> AsCompleted<F> {
    AsCompleted {
        children: Children::new(futures),
    }
}

/// The stream of [`as_completed`].
#[must_use = "streams do nothing unless polled"]
pub struct AsCompleted<F> {
    children: Children<F>,
}

impl<F: Future> AsCompleted<F> {
    /// The next output, with the index of its future; `None` after the last.
    pub async fn next(&mut self) -> Option<(usize, F::Output)> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// How many outputs have not been yielded yet.
    pub fn remaining(&self) -> usize {
        self.children.alive()
    }
}

impl<F: Future> Stream for AsCompleted<F> {
    type Item = (usize, F::Output);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let begun = ready!(budget::poll_begin(cx));
        let mut next = None;
        let turn = self.children.poll(cx, |index, output| {
            next = Some((index, output));
            ControlFlow::Break(())
        });
        if next.is_none() && turn != Turn::Ended {
            return Poll::Pending;
        }
        begun.completed();
        Poll::Ready(next)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining(), Some(self.remaining()))
    }
}

impl<F> fmt::Debug for AsCompleted<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsCompleted")
            .field("remaining", &self.children.alive())
            .finish()
    }
}
