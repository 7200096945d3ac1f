//! What queues have beyond a channel: their orders, joining, and both ways to end.

use std::cmp::Reverse;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread;

use super::polled::{poll_once, ready, waiting};
use super::*;
use runtime_kernel::park::block_on_current_thread as block_on;

#[test]
fn the_smallest_item_is_first_and_equal_items_are_fifo() {
    /// Compared only by the first part.
    #[derive(Debug)]
    struct Ranked(u32, &'static str);
    impl Ord for Ranked {
        fn cmp(&self, other: &Self) -> std::cmp::Ordering {
            self.0.cmp(&other.0)
        }
    }
    impl PartialOrd for Ranked {
        fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
            Some(self.cmp(other))
        }
    }
    impl PartialEq for Ranked {
        fn eq(&self, other: &Self) -> bool {
            self.cmp(other).is_eq()
        }
    }
    impl Eq for Ranked {}

    let queue = PriorityQueue::new(6);
    for (rank, name) in [(2, "c"), (1, "a"), (2, "d"), (3, "f"), (1, "b"), (2, "e")] {
        block_on(queue.put(Ranked(rank, name))).unwrap();
    }
    assert!(queue.is_full());
    let out: Vec<_> = std::iter::from_fn(|| queue.try_get().ok().map(|item| item.1)).collect();
    assert_eq!(out, ["a", "b", "c", "d", "e", "f"]);

    let largest = PriorityQueue::unbounded();
    for number in [1, 3, 2] {
        largest.try_put(Reverse(number)).unwrap();
    }
    assert_eq!(largest.try_get(), Ok(Reverse(3)));
}

#[test]
fn a_getter_of_a_priority_queue_gets_the_smallest_item_at_the_time_it_takes_one() {
    let queue = PriorityQueue::new(2);
    let getter = waiting(queue.get());
    queue.try_put(2).unwrap();
    queue.try_put(1).unwrap();
    assert_eq!(ready(getter), Some(1));
}

#[test]
fn a_lifo_queue_yields_the_newest_item_first() {
    let queue = LifoQueue::new(3);
    for number in 0..3 {
        queue.try_put(number).unwrap();
    }
    let putter = waiting(queue.put(3));
    assert_eq!(queue.try_get(), Ok(2));
    assert_eq!(ready(putter), Ok(()));
    assert_eq!(queue.close_and_drain().collect::<Vec<_>>(), [3, 1, 0]);
}

#[test]
fn an_unbounded_queue_is_never_full() {
    const MANY: usize = if cfg!(miri) { 100 } else { 10_000 };
    let queue = Queue::unbounded();
    for number in 0..MANY {
        queue.try_put(number).unwrap();
    }
    assert!(!queue.is_full());
    assert_eq!((queue.len(), queue.capacity()), (MANY, usize::MAX));
}

#[test]
fn joining_waits_for_queued_and_for_taken_items() {
    let queue = Queue::new(4);
    ready(Box::pin(queue.join()));
    queue.try_put(1).unwrap();
    queue.try_put(2).unwrap();
    let mut first = waiting(queue.join());
    queue.try_get().unwrap();
    queue.task_done();
    queue.try_get().unwrap();
    assert!(
        poll_once(first.as_mut()).is_pending(),
        "taken, and not done with"
    );
    let second = waiting(queue.join());
    queue.task_done();
    // An item that is put later only delays those that join later.
    queue.try_put(3).unwrap();
    let mut late = waiting(queue.join());
    ready(first);
    ready(second);
    assert!(poll_once(late.as_mut()).is_pending());
}

#[test]
fn a_waiter_that_leaves_a_join_at_any_moment_affects_no_other() {
    for position in 0..3 {
        for before in [true, false] {
            let queue = Queue::new(1);
            queue.try_put(1).unwrap();
            let mut waiters: Vec<_> = (0..3).map(|_| waiting(queue.join())).collect();
            if before {
                drop(waiters.remove(position));
            }
            queue.try_get().unwrap();
            queue.task_done();
            if !before {
                drop(waiters.remove(position));
            }
            waiters.into_iter().for_each(ready);
        }
    }
}

#[test]
fn more_dones_than_taken_items_are_refused() {
    let queue = Queue::new(2);
    queue.try_put(1).unwrap();
    let too_many = || catch_unwind(AssertUnwindSafe(|| queue.task_done()));
    let message = too_many().unwrap_err();
    let message = message.downcast_ref::<&str>().unwrap();
    assert!(message.contains("once for each"), "{message}");
    queue.try_get().unwrap();
    assert!(too_many().is_ok());
    assert!(too_many().is_err());
    ready(Box::pin(queue.join()));
}

#[test]
fn a_job_is_done_when_it_is_dropped_even_by_a_panic() {
    let queue = Queue::new(3);
    for number in 0..3 {
        queue.try_put(Arc::new(number)).unwrap();
    }
    let mut join = waiting(queue.join());
    drop(block_on(queue.get_job()).unwrap());
    let kept = block_on(queue.get_job()).unwrap().finish();
    let panics = catch_unwind(AssertUnwindSafe(|| {
        let job = queue.blocking_get_job().unwrap();
        assert_eq!(**job, 2);
        assert!(poll_once(join.as_mut()).is_pending());
        panic!("as planned");
    }));
    assert!(panics.is_err());
    ready(join);
    assert_eq!(*kept, 1);
}

#[test]
fn the_items_destructor_runs_before_the_job_counts_as_done() {
    struct Looks(Weak<Queue<Looks>>, Arc<AtomicUsize>);
    impl Drop for Looks {
        fn drop(&mut self) {
            let queue = self.0.upgrade().unwrap();
            assert!(poll_once(pin!(queue.join())).is_pending());
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }
    let (queue, looks) = (Arc::new(Queue::new(1)), Arc::new(AtomicUsize::new(0)));
    assert!(
        queue
            .try_put(Looks(Arc::downgrade(&queue), looks.clone()))
            .is_ok()
    );
    drop(block_on(queue.get_job()));
    assert_eq!(looks.load(Ordering::Relaxed), 1);
    ready(Box::pin(queue.join()));
}

#[test]
fn a_drained_queue_refuses_all_waiters_and_its_items_are_done() {
    let queue = Queue::new(2);
    let granted = waiting(queue.get());
    let waits = waiting(queue.get());
    queue.try_put(0).unwrap();
    queue.try_put(1).unwrap();
    assert_eq!(ready(waits), Some(1), "the other one waited first");
    let putter = {
        queue.try_put(2).unwrap();
        waiting(queue.put(3))
    };
    let mut join = waiting(queue.join());
    assert_eq!(queue.close_and_drain().collect::<Vec<_>>(), [0, 2]);
    assert_eq!(ready(putter), Err(3));
    assert_eq!(ready(granted), None, "its item was drained");
    assert_eq!(queue.try_get(), Err(TryGetError::Closed));
    assert!(
        poll_once(join.as_mut()).is_pending(),
        "one was taken before"
    );
    queue.task_done();
    ready(join);
    assert_eq!(queue.close_and_drain().count(), 0);
}

#[test]
fn a_closed_queue_can_be_joined_once_its_items_are_done() {
    let queue = Queue::new(2);
    queue.try_put(1).unwrap();
    queue.close();
    let join = waiting(queue.join());
    drop(block_on(queue.get_job()).unwrap());
    ready(join);
    assert!(block_on(queue.get_job()).is_none());
}

#[test]
fn many_threads_join_after_all_items_are_done() {
    const ROUNDS: usize = if cfg!(miri) { 2 } else { 20 };
    let (queue, done) = (Queue::new(3), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(_job) = queue.blocking_get_job() {
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 1..=ROUNDS {
            for number in 0..50 {
                queue.blocking_put(number).unwrap();
            }
            queue.blocking_join();
            assert_eq!(done.load(Ordering::Relaxed), round * 50);
        }
        queue.close();
    });
}

thread_local! {
    /// What the next comparison does.
    static ARMED: std::cell::RefCell<Option<Box<dyn FnOnce()>>> = const { std::cell::RefCell::new(None) };
}

/// Runs `ARMED` when it is compared.
#[derive(Debug, PartialEq, Eq)]
struct Armed(u32);

impl PartialOrd for Armed {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Armed {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        if let Some(armed) = ARMED.take() {
            armed();
        }
        self.0.cmp(&other.0)
    }
}

#[test]
fn a_comparison_that_uses_its_queue_and_panics_leaves_it_bounded() {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;

    let queue = Arc::new(PriorityQueue::new(3));
    for number in [3, 1, 2] {
        assert!(queue.try_put(Armed(number)).is_ok());
    }
    let own = Arc::clone(&queue);
    ARMED.set(Some(Box::new(move || {
        let _ = own.try_put(Armed(4));
        own.task_done();
        panic!("this comparison panics, as planned");
    })));
    assert!(catch_unwind(AssertUnwindSafe(|| queue.try_get())).is_err());
    assert!(queue.is_full());
    assert!(queue.try_put(Armed(5)).is_err());
    let mut left = 0;
    while queue.try_get().is_ok() {
        left += 1;
    }
    assert_eq!(left, 4);
    assert!(queue.try_put(Armed(6)).is_ok());
    assert_eq!(queue.close_and_drain().count(), 1);
}
