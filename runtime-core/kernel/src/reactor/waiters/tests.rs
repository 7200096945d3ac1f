use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use super::*;

#[derive(Default)]
struct Count(AtomicUsize);
impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
fn own(waker: &Waker) -> PollWaker<'_> {
    let mut own = PollWaker::new(waker);
    own.prepare();
    own
}
fn counter() -> (Arc<Count>, Waker) {
    let count = Arc::new(Count::default());
    (count.clone(), count.into())
}

#[test]
fn every_waiter_is_woken() {
    let mut waiters = Waiters::default();
    let counters: Vec<_> = (0..5).map(|_| counter()).collect();
    for (index, (_, waker)) in counters.iter().enumerate() {
        if index % 2 == 0 {
            assert!(waiters.read.add(&mut own(waker)).is_none());
        } else {
            let key = waiters.new_key();
            assert!(waiters.read.add_keyed(key, &mut own(waker)).is_none());
        }
    }
    waiters.read.take().wake_all();
    for (count, _) in &counters {
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }
    assert!(waiters.read.is_empty());
}

#[test]
fn a_cancelled_waiter_leaves_the_others() {
    let mut waiters = Waiters::default();
    let ((cancelled, cancelled_waker), (kept, kept_waker)) = (counter(), counter());
    let key = waiters.new_key();
    let other = waiters.new_key();
    let _ = waiters.read.add_keyed(key, &mut own(&cancelled_waker));
    let _ = waiters.read.add_keyed(other, &mut own(&kept_waker));
    drop(waiters.read.remove(key));
    waiters.read.take().wake_all();
    assert_eq!(cancelled.0.load(Ordering::Relaxed), 0);
    assert_eq!(kept.0.load(Ordering::Relaxed), 1);
}

#[test]
fn new_wakers_do_not_accumulate_and_none_is_dropped_unwoken() {
    let mut waiters = Waiters::default();
    let counters: Vec<_> = (0..100).map(|_| counter()).collect();
    for (_, waker) in &counters {
        if let Some(displaced) = waiters.write.add(&mut own(waker)) {
            displaced.wake();
        }
    }
    assert!(waiters.write.together_mut().len() <= MAX_UNKEYED);
    waiters.write.take().wake_all();
    for (count, _) in &counters {
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }
}

#[test]
fn a_waker_that_panics_keeps_nobody_from_being_woken() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a waker's own panic, which is part of this test");
        }
    }
    let mut waiters = Waiters::default();
    let (count, waker) = counter();
    let _ = waiters.read.add(&mut own(&Arc::new(Panics).into()));
    let _ = waiters.read.add(&mut own(&waker));
    waiters.read.take().wake_all();
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
}

#[test]
fn the_same_task_is_listed_once() {
    let mut waiters = Waiters::default();
    let (count, waker) = counter();
    for _ in 0..10 {
        assert!(waiters.read.add(&mut own(&waker)).is_none());
    }
    waiters.read.take().wake_all();
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
}

/// Futures that take turns, alongside one that each event wakes.
#[test]
fn an_event_calls_one_of_the_waiters_that_take_turns() {
    let mut waiters = Waiters::default();
    let ((all, all_waker), (poll, poll_waker)) = (counter(), counter());
    let turns: Vec<_> = (0..3).map(|_| (waiters.new_key(), counter())).collect();
    let woken = || {
        let turns = turns.iter().map(|(_, (count, _))| count);
        turns
            .map(|count| count.0.load(Ordering::Relaxed))
            .collect::<Vec<_>>()
    };
    // Not in the order in which they arrived.
    for (key, (_, waker)) in turns.iter().rev() {
        assert!(waiters.read.add_in_turn(*key, &mut own(waker)).is_none());
    }
    let key = waiters.new_key();
    assert!(waiters.read.add_keyed(key, &mut own(&all_waker)).is_none());
    assert!(waiters.read.add(&mut own(&poll_waker)).is_none());

    waiters.read.take_for_event().wake_all();
    assert_eq!(woken(), [1, 0, 0]);
    for count in [&all, &poll] {
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }
    // Another event, before the first task was polled.
    waiters.read.take_for_event().wake_all();
    assert_eq!(woken(), [1, 1, 0]);
    // It found nothing, and waits again in its old place.
    let (first, (_, waker)) = &turns[0];
    assert!(waiters.read.add_in_turn(*first, &mut own(waker)).is_none());
    waiters.read.take_for_event().wake_all();
    assert_eq!(woken(), [2, 1, 0]);
    // All except those that are awake already.
    waiters.read.take().wake_all();
    assert_eq!(woken(), [2, 1, 1]);
    assert!(waiters.read.is_empty());
}

#[test]
fn a_leaving_waiter_reports_whether_it_was_called() {
    let mut waiters = Waiters::default();
    let (_, waker) = counter();
    for others in [0, 1, 2] {
        let key = waiters.new_key();
        let _ = waiters.read.add_in_turn(key, &mut own(&waker));
        let others: Vec<_> = (0..others).map(|_| waiters.new_key()).collect();
        for other in &others {
            let _ = waiters.read.add_in_turn(*other, &mut own(&waker));
        }
        waiters.read.take_for_event().wake_all();
        assert!(waiters.read.leave(key).expect("it was there").was_called);
        assert!(waiters.read.leave(key).is_none());
        for other in others {
            assert!(waiters.read.has_turns());
            assert!(!waiters.read.leave(other).expect("it was there").was_called);
        }
        assert!(waiters.read.is_empty() && !waiters.read.has_turns());
    }
}
