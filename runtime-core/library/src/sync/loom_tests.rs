//! Every interleaving of granting, taking, cancelling and closing, in small models.
//!
//! `RUSTFLAGS="--cfg lab_loom" cargo test -p runtime-core --release --lib loom`

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use loom::thread;

use super::oneshot;
use super::{Queue, Semaphore, Signal, channel};
use runtime_kernel::park::block_on_current_thread as block_on;

pub(super) type Task<T> = Pin<Box<dyn Future<Output = T> + Send>>;

fn poll_once<T>(task: &mut Task<T>) -> Poll<T> {
    task.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// A future that was polled once, so that it is in the queue.
pub(super) fn queued<T>(future: impl Future<Output = T> + Send + 'static) -> Task<T> {
    let mut task: Task<T> = Box::pin(future);
    assert!(poll_once(&mut task).is_pending());
    task
}

pub(super) fn model(test: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(test);
}

#[test]
fn a_cancelled_waiter_passes_its_notification_on() {
    model(|| {
        let signal = Arc::new(Signal::new());
        let wait = || {
            let signal = signal.clone();
            queued(async move { signal.wait().await })
        };
        let (first, second) = (wait(), wait());
        let canceller = thread::spawn(move || drop(first));
        let waiter = thread::spawn(move || block_on(second));
        assert!(signal.notify_one());
        // Deadlocks if the notification is lost with the first waiter.
        canceller.join().unwrap();
        waiter.join().unwrap();
    });
}

#[test]
fn notify_all_reaches_all_waiters_while_one_leaves() {
    model(|| {
        let signal = Arc::new(Signal::new());
        let wait = || {
            let signal = signal.clone();
            queued(async move { signal.wait().await })
        };
        let (first, second) = (wait(), wait());
        let canceller = thread::spawn(move || drop(first));
        let waiter = thread::spawn(move || block_on(second));
        assert!(signal.notify_all() >= 1);
        canceller.join().unwrap();
        waiter.join().unwrap();
        assert_eq!(signal.waiters(), 0);
    });
}

#[test]
fn a_permit_released_against_a_cancel_is_not_lost() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let permit = semaphore.clone().try_acquire_owned().unwrap();
        let first = queued(semaphore.clone().acquire_owned());
        let second = queued(semaphore.clone().acquire_owned());
        let canceller = thread::spawn(move || drop(first));
        let waiter = thread::spawn(move || drop(block_on(second).unwrap()));
        drop(permit);
        canceller.join().unwrap();
        waiter.join().unwrap();
        assert_eq!(semaphore.available_permits(), 1);
    });
}

#[test]
fn acquire_and_release_from_two_threads_exclude_each_other() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let inside = Arc::new(loom::sync::atomic::AtomicUsize::new(0));
        let enter = |semaphore: Arc<Semaphore>, inside: Arc<loom::sync::atomic::AtomicUsize>| {
            let permit = block_on(semaphore.acquire()).unwrap();
            assert_eq!(
                inside.fetch_add(1, loom::sync::atomic::Ordering::Relaxed),
                0
            );
            inside.fetch_sub(1, loom::sync::atomic::Ordering::Relaxed);
            drop(permit);
        };
        let other = {
            let (semaphore, inside) = (semaphore.clone(), inside.clone());
            thread::spawn(move || enter(semaphore, inside))
        };
        enter(semaphore.clone(), inside);
        other.join().unwrap();
        assert_eq!(semaphore.available_permits(), 1);
    });
}

#[test]
fn a_small_request_behind_a_cancelled_large_one_is_served() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let large = queued(semaphore.clone().acquire_many_owned(2));
        let small = queued(semaphore.clone().acquire_owned());
        let canceller = thread::spawn(move || drop(large));
        drop(block_on(small).unwrap());
        canceller.join().unwrap();
        assert_eq!(semaphore.available_permits(), 1);
    });
}

#[test]
fn closing_a_semaphore_refuses_waiters_unless_they_have_a_permit() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let waiting = queued(semaphore.clone().acquire_owned());
        let closer = {
            let semaphore = semaphore.clone();
            thread::spawn(move || semaphore.close())
        };
        let waiter = thread::spawn(move || block_on(waiting).is_ok());
        semaphore.add_permits(1);
        waiter.join().unwrap();
        closer.join().unwrap();
        assert_eq!(semaphore.available_permits(), 1);
    });
}

#[test]
fn an_item_granted_to_a_cancelled_getter_goes_to_the_next() {
    model(|| {
        let queue = Arc::new(Queue::new(1));
        let get = || {
            let queue = queue.clone();
            queued(async move { queue.get().await })
        };
        let (first, second) = (get(), get());
        let canceller = thread::spawn(move || drop(first));
        let getter = thread::spawn(move || block_on(second));
        queue.try_put(7).unwrap();
        canceller.join().unwrap();
        assert_eq!(getter.join().unwrap(), Some(7));
        assert_eq!(queue.len(), 0);
    });
}

#[test]
fn a_place_granted_to_a_cancelled_putter_goes_to_the_next() {
    model(|| {
        let queue = Arc::new(Queue::new(1));
        queue.try_put(1).unwrap();
        let put = |value| {
            let queue = queue.clone();
            queued(async move { queue.put(value).await })
        };
        let (first, second) = (put(2), put(3));
        let canceller = thread::spawn(move || drop(first));
        let putter = thread::spawn(move || block_on(second));
        assert_eq!(queue.try_get(), Ok(1));
        canceller.join().unwrap();
        assert_eq!(putter.join().unwrap(), Ok(()));
        assert_eq!(queue.try_get(), Ok(3));
    });
}

#[test]
fn two_threads_pass_items_through_a_full_queue_in_order() {
    model(|| {
        let (sender, receiver) = channel(1);
        let producer = thread::spawn(move || {
            for number in 0..3 {
                block_on(sender.send(number)).unwrap();
            }
        });
        for number in 0..3 {
            assert_eq!(block_on(receiver.recv()), Some(number));
        }
        assert_eq!(block_on(receiver.recv()), None);
        producer.join().unwrap();
    });
}

#[test]
fn a_closed_queue_releases_all_waiters_and_loses_no_item_to_a_cancel() {
    model(|| {
        let queue = Arc::new(Queue::new(1));
        let get = || {
            let queue = queue.clone();
            queued(async move { queue.get().await })
        };
        let (first, second) = (get(), get());
        let canceller = thread::spawn(move || drop(first));
        let getter = thread::spawn(move || block_on(second));
        queue.try_put(7).unwrap();
        queue.close();
        canceller.join().unwrap();
        assert_eq!(getter.join().unwrap(), Some(7));
    });
}

#[test]
fn a_promise_is_kept() {
    model(|| {
        let (sender, receiver) = oneshot::channel();
        let other = thread::spawn(move || sender.send(1).unwrap());
        assert_eq!(block_on(receiver), Ok(1));
        other.join().unwrap();
    });
}

#[test]
fn a_promise_is_broken_by_the_senders_end() {
    model(|| {
        let (sender, receiver) = oneshot::channel::<u32>();
        let other = thread::spawn(move || drop(sender));
        assert_eq!(block_on(receiver), Err(oneshot::Broken));
        other.join().unwrap();
    });
}

#[test]
fn a_promise_without_a_receiver_is_noticed_and_its_value_dropped_once() {
    model(|| {
        let value = Arc::new(());
        let (sender, receiver) = oneshot::channel();
        let other = {
            let value = value.clone();
            thread::spawn(move || drop(sender.send(value)))
        };
        drop(receiver);
        other.join().unwrap();
        assert_eq!(Arc::strong_count(&value), 1);
    });
}

#[test]
fn a_sender_that_waits_for_the_receivers_end_sees_it() {
    model(|| {
        let (mut sender, receiver) = oneshot::channel::<u32>();
        let other = thread::spawn(move || drop(receiver));
        block_on(sender.closed());
        assert_eq!(sender.send(1), Err(1));
        other.join().unwrap();
    });
}
