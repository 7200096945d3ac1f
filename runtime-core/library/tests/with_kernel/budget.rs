//! Loops over operations that are always ready, under executors that don't know the budget.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use runtime_core::budget::arm;
use runtime_core::park::block_on_current_thread;
use runtime_core::sync::Mutex;

#[derive(Default)]
struct CountWakes(AtomicUsize);

impl Wake for CountWakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A loop over locks that are always free.
async fn locks(count: usize) {
    let mutex = Mutex::new(0);
    for number in 0..count {
        let mut locked = mutex.lock().await;
        assert_eq!(*locked, number);
        *locked += 1;
    }
}

#[test]
fn another_executors_block_on_completes_in_a_poll() {
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
fn blocking_on_locks_is_not_limited() {
    let _armed = arm();
    block_on_current_thread(locks(1000));
}
