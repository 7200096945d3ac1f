//! Every interleaving of calling a thread, overtaking it, giving back, cancelling and closing, in small models.
//!
//! A future that is polled inside `block_on` waits as a thread. In a model, a thread is called once; the second time
//! it is handed what it waits for.
//!
//! `RUSTFLAGS="--cfg lab_loom" cargo test -p runtime-core --release --lib loom`

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::loom_tests::{Task, model};
use super::{Mutex, Queue, Semaphore};
use runtime_kernel::park::block_on_current_thread as block_on;

/// A future that a thread has polled once, so that it is in the queue.
fn queued<T>(future: impl Future<Output = T> + Send + 'static) -> Task<T> {
    let mut task: Task<T> = Box::pin(future);
    block_on(async {
        let polled = task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Pending));
    });
    task
}

/// Acquires, checks that nobody else is inside, and releases.
fn enter(semaphore: &Semaphore, inside: &AtomicUsize) {
    let permit = block_on(semaphore.acquire()).unwrap();
    assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0);
    inside.fetch_sub(1, Ordering::Relaxed);
    drop(permit);
}

#[test]
fn loom_a_called_thread_competes_with_newcomers() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let inside = Arc::new(AtomicUsize::new(0));
        let held = semaphore.clone().try_acquire_owned().unwrap();
        let first = queued(semaphore.clone().acquire_owned());
        let threads = [
            {
                let (semaphore, inside) = (semaphore.clone(), inside.clone());
                thread::spawn(move || enter(&semaphore, &inside))
            },
            {
                let inside = inside.clone();
                thread::spawn(move || {
                    let permit = block_on(first).unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0);
                    inside.fetch_sub(1, Ordering::Relaxed);
                    drop(permit);
                })
            },
        ];
        drop(held);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(semaphore.available_permits(), 1);
    });
}

#[test]
fn loom_a_called_thread_that_leaves_calls_the_next() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let held = semaphore.clone().try_acquire_owned().unwrap();
        let first = queued(semaphore.clone().acquire_owned());
        let second = queued(semaphore.clone().acquire_owned());
        drop(held);
        // From here on the first one is called.
        let canceller = thread::spawn(move || drop(first));
        let waiter = thread::spawn(move || drop(block_on(second).unwrap()));
        drop(block_on(semaphore.acquire()).unwrap());
        canceller.join().unwrap();
        waiter.join().unwrap();
        assert_eq!(semaphore.available_permits(), 1);
    });
}

#[test]
fn loom_two_permits_reach_a_waiter_that_needs_both_despite_an_overtaker() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(2));
        let one = semaphore.clone().try_acquire_owned().unwrap();
        let other = semaphore.clone().try_acquire_owned().unwrap();
        let both = queued(semaphore.clone().acquire_many_owned(2));
        let waiter = thread::spawn(move || drop(block_on(both).unwrap()));
        drop(one);
        drop(other);
        drop(block_on(semaphore.acquire()).unwrap());
        waiter.join().unwrap();
        assert_eq!(semaphore.available_permits(), 2);
    });
}

#[test]
fn loom_a_task_behind_a_called_thread_is_served() {
    model(|| {
        let mutex = Arc::new(Mutex::new(0));
        let held = mutex.clone().try_lock_owned().unwrap();
        let first = queued(mutex.clone().lock_owned());
        // Another executor's task, which is next in the queue.
        let behind = super::loom_tests::queued(mutex.clone().lock_owned());
        let waiter = thread::spawn(move || *block_on(first) += 1);
        drop(held);
        *block_on(behind) += 1;
        waiter.join().unwrap();
        assert_eq!(*mutex.try_lock().unwrap(), 2);
    });
}

#[test]
fn loom_closing_reaches_a_called_thread() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let held = semaphore.clone().try_acquire_owned().unwrap();
        let first = queued(semaphore.clone().acquire_owned());
        let closer = {
            let semaphore = semaphore.clone();
            thread::spawn(move || semaphore.close())
        };
        let waiter = thread::spawn(move || drop(block_on(first)));
        drop(held);
        closer.join().unwrap();
        waiter.join().unwrap();
        assert_eq!(semaphore.available_permits(), 1);
    });
}

#[test]
fn loom_an_item_for_a_called_getter_reaches_one_of_the_getters() {
    model(|| {
        let queue = Arc::new(Queue::new(1));
        let first = {
            let queue = queue.clone();
            queued(async move { queue.get().await })
        };
        let getters = [thread::spawn(move || block_on(first).unwrap()), {
            let queue = queue.clone();
            thread::spawn(move || block_on(queue.get()).unwrap())
        }];
        for item in 1..=2 {
            block_on(queue.put(item)).unwrap();
        }
        let sum: i32 = getters
            .into_iter()
            .map(|getter| getter.join().unwrap())
            .sum();
        assert_eq!(sum, 3);
        assert!(queue.is_empty());
    });
}

#[test]
fn loom_a_called_getter_that_leaves_loses_no_item() {
    model(|| {
        let queue = Arc::new(Queue::new(1));
        let wait = || {
            let queue = queue.clone();
            queued(async move { queue.get().await })
        };
        let (first, second) = (wait(), wait());
        let canceller = thread::spawn(move || drop(first));
        let getter = thread::spawn(move || block_on(second));
        queue.try_put(7).unwrap();
        canceller.join().unwrap();
        assert_eq!(getter.join().unwrap(), Some(7));
    });
}
