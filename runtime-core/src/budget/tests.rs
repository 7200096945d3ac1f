//! The budget of one poll: how far it reaches, who is refused, and who is let through all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

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

/// How many operations proceed in `attempts`, whatever is refused in between.
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
fn a_poller_who_does_not_return_is_let_through() {
    let mut cx = Context::from_waker(Waker::noop());
    let _armed = arm();
    assert_eq!(proceed_in(1000, &mut cx), 255);
    // Through this waker, which is no task's, about a thousand refusals are enough, each time.
    let refusals = (IMPATIENCE / FOREIGN_WAKER) as usize;
    assert_eq!(proceed_in(refusals, &mut cx), UNITS_PER_POLL as usize);
    assert_eq!(proceed_in(refusals + 200, &mut cx), UNITS_PER_POLL as usize);
}

#[test]
fn what_is_made_of_others_spends_if_they_do_not() {
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
    // The last unit is for the future inside.
    assert_eq!(proceed_up_to(UNITS_PER_POLL as usize - 3, &mut cx), 125);
    let Poll::Ready(begun) = poll_begin(&mut cx) else {
        panic!("there is one left")
    };
    assert!(poll_consume(&mut cx).is_ready());
    begun.completed();
    assert!(poll_begin(&mut cx).is_pending());
}

/// A loop over locks that are always free.
async fn locks(count: usize) {
    let mutex = crate::sync::Mutex::new(0);
    for number in 0..count {
        let mut locked = mutex.lock().await;
        assert_eq!(*locked, number);
        *locked += 1;
    }
}

#[test]
fn another_executors_block_on_comes_to_its_end_in_a_poll() {
    let _armed = arm();
    futures_lite::future::block_on(locks(10_000));
    futures_lite::future::block_on(async {
        let mut children: FuturesUnordered<_> = (0..50).map(|_| locks(500)).collect();
        while children.next().await.is_some() {}
    });
    let mut nested = 0;
    futures_lite::future::block_on(async {
        for _ in 0..300 {
            locks(1).await;
            futures_lite::future::block_on(locks(1));
            nested += 1;
        }
    });
    assert_eq!(nested, 300);
}

#[test]
fn children_with_wakers_of_their_own_return_from_the_poll() {
    let wakes = Arc::new(CountWakes::default());
    let waker = Waker::from(wakes.clone());
    let mut cx = Context::from_waker(&waker);
    let mut children: FuturesUnordered<_> = (0..2000).map(|_| locks(10)).collect();
    let mut polls = 0;
    let mut ended = 0;
    loop {
        let _armed = arm();
        polls += 1;
        let polled = loop {
            match children.poll_next_unpin(&mut cx) {
                Poll::Ready(Some(())) => ended += 1,
                other => break other,
            }
        };
        if polled.is_ready() {
            break;
        }
        assert!(wakes.0.swap(0, Ordering::Relaxed) > 0, "it goes on");
    }
    assert_eq!(ended, 2000);
    assert!(polls >= 20_000 / 256, "{polls} polls");
}

#[test]
fn our_own_ways_to_block_are_not_limited() {
    let _armed = arm();
    crate::context::as_guest(|| {
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(proceed_up_to(1000, &mut cx), 1000);
    });
    crate::park::block_on_current_thread(locks(1000));
}
