//! Futures that take turns, under loom: whichever one leaves, a ready socket has a future that is awake, or nobody
//! waits.

use std::sync::atomic::AtomicUsize as Count;
use std::task::Waker;

use loom::sync::Arc;
use loom::thread;

use super::loom_tests::Counting;
use super::*;
use crate::reactor::waiters::WaitKey;

/// A future that takes turns: its key, and how often it was woken.
#[derive(Default)]
struct Taker {
    key: WaitKey,
    woken: Option<std::sync::Arc<Counting>>,
}

impl Taker {
    fn waiting(source: &Source) -> Self {
        let mut taker = Self::default();
        assert!(taker.poll(source).is_pending());
        taker
    }

    fn poll(&mut self, source: &Source) -> Poll<ReadyEvent> {
        let woken = self
            .woken
            .get_or_insert_with(|| std::sync::Arc::new(Counting(Count::new(0))));
        let waker = Waker::from(woken.clone());
        let mut cx = Context::from_waker(&waker);
        source.poll_ready(
            &mut cx,
            Direction::Read,
            WaitAs::InTurn(&mut self.key),
            |_| {},
        )
    }

    fn woken(&self) -> usize {
        let woken = self.woken.as_ref();
        woken.map_or(0, |woken| woken.0.load(Ordering::SeqCst))
    }

    fn leave(mut self, source: &Source) {
        if let Some(key) = self.key.number.take() {
            source.leave(Direction::Read, key);
        }
    }
}

/// The first is dropped while the event arrives: the second is woken, by the event or by the first.
#[test]
fn a_dropped_waiter_passes_its_call_on() {
    loom::model(|| {
        let source = Arc::new(Source::new());
        let (first, second) = (Taker::waiting(&source), Taker::waiting(&source));
        let poller = {
            let source = source.clone();
            thread::spawn(move || assert!(source.set_ready(0, ready::READABLE).is_some()))
        };
        first.leave(&source);
        poller.join().unwrap();
        assert_eq!(second.woken(), 1);
    });
}

/// Two events; the first wakes the first future. That one takes one item without knowing how many there are, and
/// leaves; or it finds nothing. The second is woken if something may be left.
#[test]
fn remaining_readiness_wakes_the_next() {
    loom::model(|| {
        let source = Arc::new(Source::new());
        let (mut first, second) = (Taker::waiting(&source), Taker::waiting(&source));
        assert!(source.set_ready(0, ready::READABLE).is_some());
        assert_eq!((first.woken(), second.woken()), (1, 0));
        let poller = {
            let source = source.clone();
            thread::spawn(move || assert!(source.set_ready(0, ready::READABLE).is_some()))
        };
        let Poll::Ready(event) = first.poll(&source) else {
            panic!("it is ready");
        };
        source.clear(event, |_| {});
        first.leave(&source);
        poller.join().unwrap();
        // Either the readiness was cleared before the second event, which then wakes it; or after, and then it stays
        // set.
        assert!(second.woken() >= 1);
    });
}

/// A future arrives while the first, which was woken, leaves: it finds the socket ready or is woken.
#[test]
fn a_late_waiter_sees_existing_readiness() {
    loom::model(|| {
        let source = Arc::new(Source::new());
        let first = Taker::waiting(&source);
        assert!(source.set_ready(0, ready::READABLE).is_some());
        let late = {
            let source = source.clone();
            thread::spawn(move || {
                let mut late = Taker::default();
                let is_ready = late.poll(&source).is_ready();
                (late, is_ready)
            })
        };
        let poller = {
            let source = source.clone();
            thread::spawn(move || assert!(source.set_ready(0, ready::READABLE).is_some()))
        };
        first.leave(&source);
        poller.join().unwrap();
        let (late, is_ready) = late.join().unwrap();
        assert!(is_ready || late.woken() == 1);
    });
}

/// Two futures were woken by one event each, and both leave: the third is woken.
#[test]
fn two_waiters_that_leave_at_once_wake_the_third() {
    loom::model(|| {
        let source = Arc::new(Source::new());
        let (first, second) = (Taker::waiting(&source), Taker::waiting(&source));
        let third = Taker::waiting(&source);
        for _ in 0..2 {
            assert!(source.set_ready(0, ready::READABLE).is_some());
        }
        let other = {
            let source = source.clone();
            thread::spawn(move || first.leave(&source))
        };
        second.leave(&source);
        other.join().unwrap();
        assert_eq!(third.woken(), 1);
        assert!(source.is_others_turn(Direction::Read));
        third.leave(&source);
        assert!(!source.is_others_turn(Direction::Read));
    });
}
