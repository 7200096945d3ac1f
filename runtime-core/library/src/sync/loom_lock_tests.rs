//! Every interleaving of locking, notifying, setting, passing a barrier and joining, each against a waiter that
//! leaves, in small models.
//!
//! `RUSTFLAGS="--cfg lab_loom" cargo test -p runtime-core --release --lib loom`

use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::thread;

use super::loom_tests::{model, queued};
use super::{Barrier, Condition, Event, Mutex, OwnedMutexGuard, Queue, Semaphore};
use runtime_kernel::park::block_on_current_thread as block_on;

/// Increments in a way that lets loom report it if two threads do it at once.
fn count(guard: &mut OwnedMutexGuard<Counter>) {
    // SAFETY: the lock is held; loom checks that.
    guard.0.with_mut(|value| unsafe { *value += 1 });
}

struct Counter(UnsafeCell<usize>);

// SAFETY: only accessed with the lock held; loom checks that.
unsafe impl Send for Counter {}

fn counter() -> Arc<Mutex<Counter>> {
    Arc::new(Mutex::new(Counter(UnsafeCell::new(0))))
}

#[test]
fn the_lock_excludes_on_its_fast_path_and_in_its_queue() {
    model(|| {
        let mutex = counter();
        let other = {
            let mutex = mutex.clone();
            thread::spawn(move || {
                for _ in 0..2 {
                    count(&mut block_on(mutex.clone().lock_owned()));
                }
            })
        };
        count(&mut block_on(mutex.clone().lock_owned()));
        other.join().unwrap();
        let guard = mutex.try_lock_owned().expect("everybody has unlocked");
        // SAFETY: the lock is held.
        assert_eq!(guard.0.with(|value| unsafe { *value }), 3);
    });
}

#[test]
fn a_cancelled_waiter_hands_the_lock_on() {
    model(|| {
        let mutex = counter();
        let mut guard = mutex.clone().try_lock_owned().unwrap();
        count(&mut guard);
        let first = queued(mutex.clone().lock_owned());
        let second = queued(mutex.clone().lock_owned());
        let canceller = thread::spawn(move || drop(first));
        let waiter = thread::spawn(move || count(&mut block_on(second)));
        drop(guard);
        // Deadlocks if the lock is handed to the waiter that has left.
        canceller.join().unwrap();
        waiter.join().unwrap();
        assert!(!mutex.is_locked());
    });
}

#[test]
fn the_last_waiter_may_leave_while_the_lock_is_released() {
    model(|| {
        let mutex = counter();
        let guard = mutex.clone().try_lock_owned().unwrap();
        let only = queued(mutex.clone().lock_owned());
        let canceller = thread::spawn(move || drop(only));
        drop(guard);
        let late = mutex.clone();
        count(&mut block_on(late.lock_owned()));
        canceller.join().unwrap();
        assert!(mutex.try_lock().is_some());
    });
}

#[test]
fn permits_released_without_the_lock_reach_a_concurrent_waiter() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(2));
        let one = semaphore.clone().try_acquire_owned().unwrap();
        let other = semaphore.clone().try_acquire_owned().unwrap();
        let waiter = {
            let semaphore = semaphore.clone();
            thread::spawn(move || drop(block_on(semaphore.acquire_many(2)).unwrap()))
        };
        let releaser = thread::spawn(move || drop(one));
        drop(other);
        releaser.join().unwrap();
        waiter.join().unwrap();
        assert_eq!(semaphore.available_permits(), 2);
    });
}

/// A mutex and a condition, and a task that waits for the condition.
fn condition() -> (
    Arc<(Mutex<bool>, Condition)>,
    impl Fn() -> super::loom_tests::Task<()>,
) {
    let shared = Arc::new((Mutex::new(false), Condition::new()));
    let waiter = {
        let shared = shared.clone();
        move || {
            let shared = shared.clone();
            queued(async move {
                let guard = shared.0.lock().await;
                drop(shared.1.wait(guard).await);
            })
        }
    };
    (shared, waiter)
}

#[test]
fn a_change_under_the_lock_is_seen_or_notified() {
    model(|| {
        let shared = Arc::new((Mutex::new(false), Condition::new()));
        let waiter = {
            let shared = shared.clone();
            thread::spawn(move || {
                block_on(async {
                    let guard = shared.0.lock().await;
                    assert!(*shared.1.wait_for(guard, |changed| *changed).await);
                });
            })
        };
        block_on(async {
            let mut guard = shared.0.lock().await;
            *guard = true;
            shared.1.notify_one(&guard);
        });
        waiter.join().unwrap();
        assert!(!shared.0.is_locked());
    });
}

#[test]
fn a_leaving_waiter_passes_its_notification_to_the_next() {
    model(|| {
        let (shared, waiter) = condition();
        let (first, second) = (waiter(), waiter());
        let canceller = thread::spawn(move || drop(first));
        let waiting = thread::spawn(move || block_on(second));
        {
            let guard = block_on(shared.0.lock());
            assert!(shared.1.notify_one(&guard));
        }
        // Deadlocks if the notification is lost with the first waiter.
        canceller.join().unwrap();
        waiting.join().unwrap();
        assert!(!shared.0.is_locked());
        assert_eq!(shared.1.waiters(), 0);
    });
}

#[test]
fn all_are_notified_while_one_leaves() {
    model(|| {
        let (shared, waiter) = condition();
        let (first, second) = (waiter(), waiter());
        let canceller = thread::spawn(move || drop(first));
        let waiting = thread::spawn(move || block_on(second));
        {
            let guard = block_on(shared.0.lock());
            assert!(shared.1.notify_all(&guard) >= 1);
        }
        canceller.join().unwrap();
        waiting.join().unwrap();
        assert!(!shared.0.is_locked());
    });
}

#[test]
fn a_set_reaches_a_concurrent_waiter() {
    model(|| {
        let event = Arc::new(Event::new());
        let waiter = {
            let event = event.clone();
            thread::spawn(move || block_on(event.wait()))
        };
        event.set();
        waiter.join().unwrap();
    });
}

#[test]
fn a_set_and_a_clear_release_all_waiters_while_one_leaves() {
    model(|| {
        let event = Arc::new(Event::new());
        let wait = || {
            let event = event.clone();
            queued(async move { event.wait().await })
        };
        let (first, second) = (wait(), wait());
        let canceller = thread::spawn(move || drop(first));
        let waiter = thread::spawn(move || block_on(second));
        event.set();
        event.clear();
        canceller.join().unwrap();
        waiter.join().unwrap();
        assert!(!event.is_set());
    });
}

#[test]
fn parties_meet_round_after_round() {
    model(|| {
        let barrier = Arc::new(Barrier::new(2));
        let meet = |barrier: Arc<Barrier>| {
            (0..2)
                .map(|_| block_on(barrier.wait()).unwrap().index())
                .collect::<Vec<_>>()
        };
        let other = {
            let barrier = barrier.clone();
            thread::spawn(move || meet(barrier))
        };
        let here = meet(barrier.clone());
        for (here, there) in here.into_iter().zip(other.join().unwrap()) {
            assert_eq!(here + there, 1);
        }
        assert_eq!(barrier.waiting(), 0);
    });
}

#[test]
fn a_waiter_that_leaves_a_barrier_counts_only_if_the_others_had_arrived() {
    model(|| {
        let barrier = Arc::new(Barrier::new(2));
        let leaving = {
            let barrier = barrier.clone();
            queued(async move { barrier.wait().await.is_ok() })
        };
        let canceller = thread::spawn(move || drop(leaving));
        let other = {
            let barrier = barrier.clone();
            thread::spawn(move || block_on(barrier.wait()))
        };
        canceller.join().unwrap();
        // If the other one completed a round with the one that left, it is through. Otherwise it waits, or will wait,
        // and learns of the abort.
        barrier.abort();
        let outcome = other.join().unwrap();
        assert!(outcome.is_err() || outcome.unwrap().is_leader());
        assert_eq!(barrier.waiting(), 0);
    });
}

#[test]
fn a_join_sees_the_last_task_done() {
    model(|| {
        let queue = Arc::new(Queue::new(2));
        queue.try_put(1).unwrap();
        let joining = {
            let queue = queue.clone();
            queued(async move { queue.join().await })
        };
        let leaving = {
            let queue = queue.clone();
            queued(async move { queue.join().await })
        };
        let joiner = thread::spawn(move || block_on(joining));
        let canceller = thread::spawn(move || drop(leaving));
        drop(block_on(queue.get_job()).unwrap());
        queue.try_put(2).unwrap();
        joiner.join().unwrap();
        canceller.join().unwrap();
    });
}

#[test]
fn a_drained_queue_releases_all_waiters() {
    model(|| {
        let queue = Arc::new(Queue::new(1));
        let get = {
            let queue = queue.clone();
            queued(async move { queue.get().await })
        };
        let getter = thread::spawn(move || block_on(get));
        let drainer = {
            let queue = queue.clone();
            thread::spawn(move || queue.close_and_drain().count())
        };
        let put = queue.try_put(1).is_ok();
        let drained = drainer.join().unwrap();
        let got = getter.join().unwrap();
        assert_eq!(usize::from(got.is_some()) + drained, usize::from(put));
    });
}
