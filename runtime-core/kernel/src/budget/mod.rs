//! The cooperative budget: a loop over leaf operations that are always ready still returns from its poll.
//!
//! Each poll of a task starts with a full budget ([`arm`]). A leaf operation (a socket read, a queue's `get`, a timer)
//! calls [`poll_proceed`] *before* it takes a permit, a lock or an item. If it took first and then yielded, it would
//! block everyone who waits for what it holds. When the budget is used up, the operation wakes its own task and
//! returns `Pending`, so that the task goes to the back of the run queue. An operation that consists of other futures
//! calls [`poll_begin`] instead: it spends a unit only if none of those futures did.
//!
//! **What it covers.** Every operation of this project. Futures of other libraries don't use the budget; a task that
//! loops over them calls [`consume_budget`]. [`unconstrained`] polls a future without a budget.
//!
//! **What a refusal does.** The code that polls a refused operation should return from the task's poll. Two cases
//! differ, and have rules of their own:
//!
//! - *Siblings.* `or(busy, sleep(..))` polls `busy` first. If `busy` used up everything in each poll, the sleep would
//!   never be polled. Therefore each of the first refusals in a poll leaves a *reserve* to the operations after it: 64
//!   units, then 32, and so on down to 1. One poll completes fewer than 256 operations.
//! - *A poller that does not return.* A `block_on` inside a task polls again at once, and nobody renews the budget.
//!   Refusals are therefore counted, and after a certain number the budget is renewed. A refusal through a waker other
//!   than the task's own counts for much more. `block_on` has its own waker. So has each child of a combinator, but
//!   that child is refused once and then the combinator returns. [`REFUSALS_BEFORE_RENEWAL`] and
//!   [`FOREIGN_WAKER`] have the numbers.
//!
//! **Where it ends.** A thread on which nobody arms a budget (another executor, a plain `block_on`) is not limited:
//! nobody would ever renew a used-up budget there. For the same reason the limit is lifted where our own code polls or
//! blocks on behalf of a task: in `block_on`, `block_in_place`, blocking jobs, the callbacks of tasks, and destructors
//! of a task's future.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::primitives::thread_local;
use crate::task;

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests;

/// The number of leaf operations that a task may complete in one poll before the first one is refused.
pub const UNITS_PER_POLL: u32 = 128;

/// After this many refusals in one poll the budget is renewed, because the poller evidently does not return. It is
/// more than any `select` has branches: a loop over a `select` that is always ready is refused in each branch, and
/// then returns.
pub const REFUSALS_BEFORE_RENEWAL: u32 = 1 << 16;

/// The former name of [`REFUSALS_BEFORE_RENEWAL`].
#[deprecated(note = "it is called `REFUSALS_BEFORE_RENEWAL`")]
pub const IMPATIENCE: u32 = REFUSALS_BEFORE_RENEWAL;

/// What a refusal counts if it comes through a waker that is not the task's own: about a thousand of them renew the
/// budget.
pub const FOREIGN_WAKER: u32 = 64;

/// The value of `Budget::remaining` while no budget is armed.
const UNLIMITED: u16 = u16::MAX;

/// The budget of one poll, in one word: arming it is one store, and spending a unit is one addition.
///
/// | bits | what |
/// |---|---|
/// | 0 to 15 | units left, or `UNLIMITED` |
/// | 16 to 31 | the number of reserves given out so far: the next is the full budget halved so often, and once more |
/// | 32 to 63 | refusals since the budget was full, weighted |
#[derive(Clone, Copy, Debug)]
struct Budget(u64);

impl Budget {
    const NONE: Self = Self::new(UNLIMITED, 0, 0);
    const FULL: Self = Self::new(UNITS_PER_POLL as u16, 0, 0);

    const fn new(remaining: u16, reserves: u16, refusals: u32) -> Self {
        Self(remaining as u64 | (reserves as u64) << 16 | (refusals as u64) << 32)
    }

    #[inline]
    fn remaining(self) -> u16 {
        self.0 as u16
    }

    fn reserves(self) -> u16 {
        (self.0 >> 16) as u16
    }

    fn refusals(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// One unit less. Requires that one is left.
    #[inline]
    fn less_one(self) -> Self {
        debug_assert!(!matches!(self.remaining(), 0 | UNLIMITED));
        Self(self.0 - 1)
    }

    /// One unit more. Requires that the budget is not full.
    #[inline]
    fn and_one(self) -> Self {
        debug_assert!(u32::from(self.remaining()) < UNITS_PER_POLL);
        Self(self.0 + 1)
    }
}

thread_local! {
    static BUDGET: Cell<Budget> = const { Cell::new(Budget::NONE) };
}

/// Arms a full budget for one poll. When the guard is dropped, the rest of the outer poll's budget is restored.
#[inline]
pub fn arm() -> Armed {
    Armed {
        outer: BUDGET.replace(Budget::FULL),
    }
}

/// Keeps the calling thread's poll limited. See [`arm`].
#[must_use = "the budget is that of the outer poll again when the guard is dropped"]
#[derive(Debug)]
pub struct Armed {
    outer: Budget,
}

impl Drop for Armed {
    #[inline]
    fn drop(&mut self) {
        BUDGET.set(self.outer);
    }
}

/// True if [`poll_proceed`] would let an operation proceed.
#[inline]
pub fn has_remaining() -> bool {
    BUDGET.get().remaining() != 0
}

/// Takes one unit. If none is left, wakes the task and returns `Pending`.
///
/// Call it before the operation takes anything. Keep the [`Spent`] until the outcome is known: dropped without
/// [`made_progress`](Spent::made_progress) it gives the unit back, so an operation that has to wait costs nothing. An
/// error counts as an outcome.
///
/// ```
/// use std::task::{Context, Poll, ready};
/// use runtime_core::budget;
///
/// fn poll_take(left: &mut u32, cx: &mut Context<'_>) -> Poll<u32> {
///     let spent = ready!(budget::poll_proceed(cx));
///     let Some(rest) = left.checked_sub(1) else { return Poll::Pending }; // `spent` is refunded
///     *left = rest;
///     spent.made_progress();
///     Poll::Ready(1)
/// }
/// ```
#[inline]
pub fn poll_proceed(cx: &mut Context<'_>) -> Poll<Spent> {
    let budget = BUDGET.get();
    match budget.remaining() {
        UNLIMITED => Poll::Ready(Spent { refund: false }),
        0 => exhausted(cx),
        _ => {
            BUDGET.set(budget.less_one());
            Poll::Ready(Spent { refund: true })
        }
    }
}

/// Refuses, and leaves a reserve to the operations that come next; or renews the budget of a poller that does not
/// return.
#[cold]
fn exhausted(cx: &mut Context<'_>) -> Poll<Spent> {
    let before = BUDGET.get();
    let weight = if task::is_own_waker(cx.waker()) {
        1
    } else {
        FOREIGN_WAKER
    };
    let refusals = before.refusals() + weight;
    if refusals >= REFUSALS_BEFORE_RENEWAL {
        let remaining = UNITS_PER_POLL as u16 - 1;
        BUDGET.set(Budget::new(remaining, before.reserves(), 0));
        return Poll::Ready(Spent { refund: true });
    }
    let reserves = before.reserves() + 1;
    let reserve = (UNITS_PER_POLL as u16)
        .checked_shr(reserves.into())
        .unwrap_or(0);
    let reserves = if reserve == 0 {
        before.reserves()
    } else {
        reserves
    };
    BUDGET.set(Budget::new(reserve, reserves, refusals));
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
            let budget = BUDGET.get();
            // Not into a budget that was disarmed or renewed in the meantime.
            if u32::from(budget.remaining()) < UNITS_PER_POLL {
                BUDGET.set(budget.and_one());
            }
        }
    }
}

/// Begins an operation that consists of other futures. If the budget is used up, wakes the task and returns `Pending`.
/// It takes nothing yet: the inner futures spend for themselves.
///
/// ```
/// use std::future::Future;
/// use std::pin::Pin;
/// use std::task::{Context, Poll, ready};
/// use runtime_core::budget;
///
/// fn poll_logged<F: Future + Unpin>(future: &mut F, cx: &mut Context<'_>) -> Poll<F::Output> {
///     let begun = ready!(budget::poll_begin(cx));
///     let output = ready!(Pin::new(future).poll(cx));
///     begun.completed();
///     Poll::Ready(output)
/// }
/// ```
#[inline]
pub fn poll_begin(cx: &mut Context<'_>) -> Poll<Begun> {
    if !has_remaining() {
        // If the budget was renewed, the unit that this took goes back at once.
        drop(ready!(exhausted(cx)));
    }
    Poll::Ready(Begun {
        before: BUDGET.get().remaining(),
    })
}

/// An operation that consists of others, and may proceed. See [`poll_begin`].
#[derive(Clone, Copy, Debug)]
#[must_use = "say whether the operation has completed"]
pub struct Begun {
    before: u16,
}

impl Begun {
    /// Call this when the operation has completed: it spends one unit, unless an inner future has spent some.
    #[inline]
    pub fn completed(self) {
        let budget = BUDGET.get();
        if budget.remaining() == self.before && !matches!(self.before, 0 | UNLIMITED) {
            BUDGET.set(budget.less_one());
        }
    }
}

/// [`consume_budget`] as a poll.
#[inline]
pub fn poll_consume(cx: &mut Context<'_>) -> Poll<()> {
    ready!(poll_proceed(cx)).made_progress();
    Poll::Ready(())
}

/// Spends one unit of the task's budget. If none is left, the other tasks get their turn first. tokio's
/// `task::consume_budget`.
///
/// Use it in loops over operations without a budget: futures of other libraries, or your own computation. The
/// operations of this project spend by themselves. It costs a few nanoseconds and needs no runtime. Cancel safe.
///
/// ```
/// use runtime_core::{consume_budget, park::block_on_current_thread};
///
/// async fn sum(numbers: &[u64]) -> u64 {
///     let mut sum = 0;
///     for number in numbers {
///         sum += number;
///         consume_budget().await;
///     }
///     sum
/// }
/// assert_eq!(block_on_current_thread(sum(&[1, 2, 3])), 6);
/// ```
pub async fn consume_budget() {
    poll_fn(poll_consume).await;
}

/// Lifts the limit while it exists, then restores the previous budget.
#[must_use = "the limit is back when the guard is dropped"]
#[derive(Debug)]
pub struct Lifted {
    before: Budget,
}

/// Lifts the limit until the guard is dropped, for code that polls on its own account.
#[inline]
pub fn lift() -> Lifted {
    Lifted {
        before: BUDGET.replace(Budget::NONE),
    }
}

impl Drop for Lifted {
    #[inline]
    fn drop(&mut self) {
        BUDGET.set(self.before);
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

/// Polls `future` without a budget. If `future` does not return from its polls, it starves the other tasks of its
/// worker. tokio's `task::unconstrained`.
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
