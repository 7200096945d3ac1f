//! The cooperative budget: a loop over leaf operations that are always ready returns from its poll all the same.
//!
//! Each poll of a task is on a full budget ([`arm`]). A leaf operation (a socket read, a queue's `get`, a timer) calls
//! [`poll_proceed`] *before* it takes a permit, a lock or an item: an operation that took first and yielded then would hold up
//! all who wait for what it holds. With the budget used up the operation wakes its own task and returns `Pending`, so that the
//! task goes to the back of the run queue.
//!
//! A thread on which nobody arms a budget (another executor, a plain `block_on`) is not limited: with nobody to give a new
//! budget, a used-up one would never end.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::primitives::thread_local;

/// Leaf operations that a task may complete in one poll.
pub const UNITS_PER_POLL: u32 = 128;

/// What the thread-local holds while no budget is armed.
const UNLIMITED: u32 = u32::MAX;

thread_local! {
    static REMAINING: Cell<u32> = const { Cell::new(UNLIMITED) };
}

/// Arms a full budget for one poll; what was left of an outer poll's comes back when the guard is dropped.
#[inline]
pub fn arm() -> Armed {
    Armed {
        outer: REMAINING.replace(UNITS_PER_POLL),
    }
}

/// Keeps the calling thread's poll on a budget. See [`arm`].
#[must_use = "the budget is that of the outer poll again when the guard is dropped"]
#[derive(Debug)]
pub struct Armed {
    outer: u32,
}

impl Drop for Armed {
    #[inline]
    fn drop(&mut self) {
        REMAINING.set(self.outer);
    }
}

/// True if [`poll_proceed`] would let an operation proceed.
#[inline]
pub fn has_remaining() -> bool {
    REMAINING.get() != 0
}

/// Takes one unit; `Pending`, with the task already woken, if none is left.
///
/// Call it before the operation takes anything. Keep the [`Spent`] until the outcome is known: dropped without
/// [`made_progress`](Spent::made_progress) it gives the unit back, so that an operation that has to wait costs nothing.
///
/// ```
/// use std::task::{Context, Poll, ready};
/// use runtime_core::budget;
///
/// fn poll_take(stock: &mut u32, cx: &mut Context<'_>) -> Poll<u32> {
///     let spent = ready!(budget::poll_proceed(cx));
///     let Some(rest) = stock.checked_sub(1) else { return Poll::Pending }; // `spent` is refunded
///     *stock = rest;
///     spent.made_progress();
///     Poll::Ready(1)
/// }
/// ```
#[inline]
pub fn poll_proceed(cx: &mut Context<'_>) -> Poll<Spent> {
    match REMAINING.get() {
        UNLIMITED => Poll::Ready(Spent { refund: false }),
        0 => exhausted(cx),
        remaining => {
            REMAINING.set(remaining - 1);
            Poll::Ready(Spent { refund: true })
        }
    }
}

#[cold]
fn exhausted(cx: &mut Context<'_>) -> Poll<Spent> {
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// One unit of budget. Dropped without [`made_progress`](Spent::made_progress), it is given back.
#[derive(Debug)]
#[must_use = "dropped at once, the unit is given back before the operation has run"]
pub struct Spent {
    refund: bool,
}

impl Spent {
    /// The operation completed: the unit stays spent.
    #[inline]
    pub fn made_progress(mut self) {
        self.refund = false;
    }
}

impl Drop for Spent {
    #[inline]
    fn drop(&mut self) {
        if self.refund {
            let remaining = REMAINING.get();
            // Not into a budget that was disarmed or renewed meanwhile.
            if remaining < UNITS_PER_POLL {
                REMAINING.set(remaining + 1);
            }
        }
    }
}

/// Lifts the limit while it exists and puts back what was left before.
pub(crate) struct Lifted {
    before: u32,
}

/// Lifts the limit until the guard is dropped, for code that polls on its own account.
pub(crate) fn lift() -> Lifted {
    Lifted {
        before: REMAINING.replace(UNLIMITED),
    }
}

impl Drop for Lifted {
    fn drop(&mut self) {
        REMAINING.set(self.before);
    }
}

pin_project! {
    /// The future of [`unconstrained`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Unconstrained<F> {
        #[pin]
        future: F,
    }
}

/// Polls `future` without a budget. It is then up to `future` to return from its polls: one that does not starves the other
/// tasks of its worker.
pub fn unconstrained<F: Future>(future: F) -> Unconstrained<F> {
    Unconstrained { future }
}

impl<F: Future> Future for Unconstrained<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let _lifted = lift();
        self.project().future.poll(cx)
    }
}

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use super::*;

    #[derive(Default)]
    struct CountWakes(AtomicUsize);

    impl Wake for CountWakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts how many operations proceed before the budget stops them; at most `limit`.
    fn proceed_up_to(limit: usize, cx: &mut Context<'_>) -> usize {
        (0..limit)
            .take_while(|_| match poll_proceed(cx) {
                Poll::Ready(spent) => {
                    spent.made_progress();
                    true
                }
                Poll::Pending => false,
            })
            .count()
    }

    #[test]
    fn an_armed_budget_ends_and_wakes_the_task() {
        let wakes = Arc::new(CountWakes::default());
        let waker = Waker::from(wakes.clone());
        let mut cx = Context::from_waker(&waker);
        let armed = arm();
        assert_eq!(proceed_up_to(1000, &mut cx), UNITS_PER_POLL as usize);
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert!(!has_remaining());
        drop(armed);
        assert!(has_remaining());
    }

    #[test]
    fn outside_of_a_poll_nothing_is_limited() {
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(proceed_up_to(1000, &mut cx), 1000);
        drop(arm());
        assert_eq!(proceed_up_to(1000, &mut cx), 1000);
    }

    #[test]
    fn an_operation_without_progress_costs_nothing() {
        let mut cx = Context::from_waker(Waker::noop());
        let _armed = arm();
        for _ in 0..1000 {
            assert!(poll_proceed(&mut cx).is_ready());
        }
        assert_eq!(proceed_up_to(1000, &mut cx), UNITS_PER_POLL as usize);
    }

    #[test]
    fn a_nested_poll_leaves_the_outer_one_what_it_had() {
        let mut cx = Context::from_waker(Waker::noop());
        let _outer = arm();
        assert_eq!(proceed_up_to(100, &mut cx), 100);
        {
            let _inner = arm();
            assert_eq!(proceed_up_to(1000, &mut cx), UNITS_PER_POLL as usize);
        }
        assert_eq!(proceed_up_to(1000, &mut cx), UNITS_PER_POLL as usize - 100);
    }

    #[test]
    fn a_refund_never_exceeds_a_renewed_budget() {
        let mut cx = Context::from_waker(Waker::noop());
        let _outer = arm();
        let kept = poll_proceed(&mut cx);
        let _inner = arm();
        drop(kept);
        assert_eq!(proceed_up_to(1000, &mut cx), UNITS_PER_POLL as usize);
    }

    #[test]
    fn unconstrained_lifts_the_limit_and_leaves_the_rest_as_it_was() {
        let mut cx = Context::from_waker(Waker::noop());
        let _armed = arm();
        assert_eq!(proceed_up_to(100, &mut cx), 100);
        let mut inner = unconstrained(poll_fn(|cx| Poll::Ready(proceed_up_to(1000, cx))));
        assert_eq!(Pin::new(&mut inner).poll(&mut cx), Poll::Ready(1000));
        assert_eq!(proceed_up_to(1000, &mut cx), UNITS_PER_POLL as usize - 100);
    }
}
