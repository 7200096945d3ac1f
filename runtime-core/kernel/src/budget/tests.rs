//! The budget of one poll: how far it reaches, which operations it refuses, and which ones it lets through anyway.

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
fn a_nested_poll_restores_the_outer_budget() {
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

/// How many of `attempts` operations proceed, regardless of refusals in between.
fn proceed_in(attempts: usize, cx: &mut Context<'_>) -> usize {
    (0..attempts)
        .filter(|_| poll_consume(cx).is_ready())
        .count()
}

#[test]
fn each_refusal_leaves_a_reserve_half_as_large() {
    let mut cx = Context::from_waker(Waker::noop());
    let _armed = arm();
    for units in [128, 64, 32, 16, 8, 4, 2, 1, 0, 0] {
        assert_eq!(proceed_up_to(1000, &mut cx), units);
    }
}

#[test]
fn a_poller_that_does_not_return_gets_a_new_budget() {
    let mut cx = Context::from_waker(Waker::noop());
    let _armed = arm();
    assert_eq!(proceed_in(1000, &mut cx), 255);
    // This waker belongs to no task, so about a thousand refusals are enough, each time.
    let refusals = (REFUSALS_BEFORE_RENEWAL / FOREIGN_WAKER) as usize;
    assert_eq!(proceed_in(refusals, &mut cx), UNITS_PER_POLL as usize);
    assert_eq!(proceed_in(refusals + 200, &mut cx), UNITS_PER_POLL as usize);
}

#[test]
fn a_combinator_spends_if_its_parts_do_not() {
    let mut cx = Context::from_waker(Waker::noop());
    let _armed = arm();
    for spends in [true, false] {
        let before = BUDGET.get().remaining();
        let Poll::Ready(begun) = poll_begin(&mut cx) else {
            panic!("it is full")
        };
        assert_eq!(BUDGET.get().remaining(), before);
        assert!(!spends || poll_consume(&mut cx).is_ready());
        begun.completed();
        assert_eq!(BUDGET.get().remaining(), before - 1);
    }
    // The last unit is for the inner future.
    assert_eq!(proceed_up_to(UNITS_PER_POLL as usize - 3, &mut cx), 125);
    let Poll::Ready(begun) = poll_begin(&mut cx) else {
        panic!("there is one left")
    };
    assert!(poll_consume(&mut cx).is_ready());
    begun.completed();
    assert!(poll_begin(&mut cx).is_pending());
}

/// `count` operations, one after the other.
async fn operations(count: usize) {
    for _ in 0..count {
        consume_budget().await;
    }
}

#[test]
fn our_own_ways_to_block_are_not_limited() {
    let _armed = arm();
    crate::context::as_non_worker(|| {
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(proceed_up_to(1000, &mut cx), 1000);
    });
    crate::park::block_on_current_thread(operations(1000));
}
