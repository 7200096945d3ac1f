//! Waiters that are threads: which are called, which overtake others and for how long, and what is left when one
//! leaves.
//!
//! A future that is polled inside `block_on` waits as a thread; outside it, as a task.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::thread;

use super::polled::{poll_once, ready, waiting};
use super::*;
use runtime_kernel::capabilities::OVERTAKEN_FOR;
use runtime_kernel::park::block_on_current_thread as block_on;
use runtime_kernel::primitives::atomic::{AtomicUsize, Ordering};

/// Polls once, as a thread.
fn poll_as_thread<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    block_on(async { poll_once(future) })
}

/// A boxed future that a thread has polled once and that waits.
#[track_caller]
fn waiting_thread<F: Future>(future: F) -> Pin<Box<F>> {
    let mut future = Box::pin(future);
    assert!(
        poll_as_thread(future.as_mut()).is_pending(),
        "it need not wait"
    );
    future
}

/// The outcome of a future that is ready as soon as a thread polls it.
#[track_caller]
fn ready_for_thread<F: Future>(mut future: Pin<Box<F>>) -> F::Output {
    match poll_as_thread(future.as_mut()) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Polls once, as a thread that `wakes` would wake.
fn poll_counted<F: Future + ?Sized>(future: Pin<&mut F>, wakes: &Arc<Wakes>) -> Poll<F::Output> {
    let waker = Arc::clone(wakes).into();
    block_on(async { future.poll(&mut Context::from_waker(&waker)) })
}

#[test]
fn a_thread_is_called_and_newcomers_may_take_the_lock_first() {
    let mutex = Mutex::new(());
    let held = mutex.try_lock().unwrap();
    let wakes = Arc::new(Wakes::default());
    let mut first = Box::pin(mutex.lock());
    assert!(poll_counted(first.as_mut(), &wakes).is_pending());
    let second = waiting_thread(mutex.lock());
    drop(held);
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1, "it is called");
    assert!(!mutex.is_locked(), "it is there for whoever comes");
    let newcomer = ready_for_thread(Box::pin(mutex.lock()));
    assert!(
        poll_counted(first.as_mut(), &wakes).is_pending(),
        "it came too late"
    );
    drop(newcomer);
    assert_eq!(wakes.0.load(Ordering::Relaxed), 2, "it is called again");
    drop(ready_for_thread(first));
    drop(ready_for_thread(second));
    assert!(mutex.try_lock().is_some());
}

#[test]
fn a_called_thread_is_not_woken_again_before_it_has_polled() {
    let mutex = Mutex::new(());
    let held = mutex.try_lock().unwrap();
    let wakes = Arc::new(Wakes::default());
    let mut first = Box::pin(mutex.lock());
    assert!(poll_counted(first.as_mut(), &wakes).is_pending());
    drop(held);
    for _ in 0..100 {
        drop(ready_for_thread(Box::pin(mutex.lock())));
    }
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
    drop(ready_for_thread(first));
}

#[test]
fn a_thread_that_was_overtaken_for_long_enough_is_handed_the_permit() {
    let mutex = Mutex::new(());
    let held = mutex.try_lock().unwrap();
    let mut first = waiting_thread(mutex.lock());
    drop(held);
    let newcomer = ready_for_thread(Box::pin(mutex.lock()));
    // The test is about the passing of this time, not about anything that happens meanwhile.
    thread::sleep(OVERTAKEN_FOR);
    assert!(poll_as_thread(first.as_mut()).is_pending());
    drop(newcomer);
    assert!(mutex.is_locked(), "it is the first one's");
    let behind = waiting_thread(mutex.lock());
    drop(ready_for_thread(first));
    drop(ready_for_thread(behind));

    // The same for items and for places.
    let queue = Queue::new(1);
    let mut first = waiting_thread(queue.get());
    queue.try_put(1).unwrap();
    assert_eq!(ready_for_thread(Box::pin(queue.get())), Some(1));
    thread::sleep(OVERTAKEN_FOR);
    assert!(poll_as_thread(first.as_mut()).is_pending());
    queue.try_put(2).unwrap();
    let behind = waiting_thread(queue.get());
    assert_eq!(ready_for_thread(first), Some(2));
    queue.try_put(3).unwrap();
    let mut place = waiting_thread(queue.put(4));
    assert_eq!(ready_for_thread(behind), Some(3));
    assert_eq!(ready_for_thread(Box::pin(queue.put(5))), Ok(()));
    thread::sleep(OVERTAKEN_FOR);
    assert!(poll_as_thread(place.as_mut()).is_pending());
    assert_eq!(queue.try_get(), Ok(5));
    let behind = waiting_thread(queue.put(6));
    assert_eq!(ready_for_thread(place), Ok(()));
    assert_eq!(queue.try_get(), Ok(4));
    assert_eq!(ready_for_thread(behind), Ok(()));
}

#[test]
fn a_called_waiter_that_leaves_calls_the_next() {
    let mutex = Mutex::new(());
    let held = mutex.try_lock().unwrap();
    let first = waiting_thread(mutex.lock());
    let wakes = Arc::new(Wakes::default());
    let mut second = Box::pin(mutex.lock());
    assert!(poll_counted(second.as_mut(), &wakes).is_pending());
    drop(held);
    drop(first);
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
    drop(ready_for_thread(second));

    // Even after others have been faster.
    let held = mutex.try_lock().unwrap();
    let first = waiting_thread(mutex.lock());
    let second = waiting_thread(mutex.lock());
    drop(held);
    let newcomer = ready_for_thread(Box::pin(mutex.lock()));
    drop(first);
    drop(newcomer);
    drop(ready_for_thread(second));
    assert!(mutex.try_lock().is_some());
}

#[test]
fn a_task_neither_overtakes_nor_is_overtaken() {
    let mutex = Mutex::new(());
    let held = mutex.try_lock().unwrap();
    let task = waiting(mutex.lock());
    drop(held);
    assert!(mutex.is_locked(), "it was handed over");
    let thread = waiting_thread(mutex.lock());
    drop(ready(task));
    // The lock is free for threads, but the task comes after the waiter in the queue.
    assert!(!mutex.is_locked());
    let task = waiting(mutex.lock());
    assert!(mutex.try_lock().is_none(), "nor does one who only tries");
    drop(ready_for_thread(thread));
    drop(ready(task));
}

#[test]
fn a_waiter_that_moves_from_a_thread_to_a_task_is_handed_its_permit() {
    let mutex = Mutex::new(());
    let held = mutex.try_lock().unwrap();
    let mut waits = waiting_thread(mutex.lock());
    assert!(poll_once(waits.as_mut()).is_pending());
    drop(held);
    assert!(mutex.is_locked());
    drop(ready(waits));
}

#[test]
fn surplus_permits_serve_all_waiters_at_once() {
    let semaphore = Semaphore::new(0);
    let waiters = [(); 3].map(|()| waiting_thread(semaphore.acquire()));
    semaphore.add_permits(1);
    semaphore.add_permits(1);
    // If the others had to wait for the first one, they would wait for ever if it is not polled.
    let [first, second, third] = waiters;
    let second = ready_for_thread(second).unwrap();
    assert!(ready_for_thread(first).is_ok());
    drop(second);
    assert!(ready_for_thread(third).is_ok());
}

#[test]
fn a_waiter_for_many_permits_is_called_only_when_all_are_there() {
    let semaphore = Semaphore::new(1);
    let wakes = Arc::new(Wakes::default());
    let mut large = Box::pin(semaphore.acquire_many(2));
    assert!(poll_counted(large.as_mut(), &wakes).is_pending());
    let small = waiting_thread(semaphore.acquire());
    assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
    semaphore.add_permits(1);
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
    // Others are faster, and the rest is not enough: once the waiter has seen that, nobody takes from the rest any
    // more.
    let newcomer = ready_for_thread(Box::pin(semaphore.acquire())).unwrap();
    assert!(poll_counted(large.as_mut(), &wakes).is_pending());
    let behind = waiting_thread(semaphore.acquire());
    drop(newcomer);
    let large = ready_for_thread(large).unwrap();
    assert_eq!(large.count(), 2);
    drop(large);
    drop((ready_for_thread(small), ready_for_thread(behind)));
    assert_eq!(semaphore.available_permits(), 2);
}

#[test]
fn closing_refuses_a_called_thread() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    let first = waiting_thread(semaphore.acquire());
    let second = waiting_thread(semaphore.acquire());
    drop(held);
    semaphore.close();
    assert_eq!(ready_for_thread(first).err(), Some(Closed));
    assert_eq!(ready_for_thread(second).err(), Some(Closed));

    let queue = Queue::<u8>::new(1);
    queue.try_put(1).unwrap();
    let putter = waiting_thread(queue.put(2));
    assert_eq!(queue.try_get(), Ok(1));
    queue.close();
    assert_eq!(ready_for_thread(putter), Err(2));

    // A getter that was called gets what is left.
    let queue = Queue::new(1);
    let getter = waiting_thread(queue.get());
    let late = waiting_thread(queue.get());
    queue.try_put(1).unwrap();
    queue.close();
    assert_eq!(ready_for_thread(getter), Some(1));
    assert_eq!(ready_for_thread(late), None);

    let queue = Queue::new(1);
    let getter = waiting_thread(queue.get());
    queue.try_put(1).unwrap();
    assert_eq!(queue.close_and_drain().count(), 1);
    assert_eq!(ready_for_thread(getter), None);
}

#[test]
fn items_and_places_that_a_called_waiter_leaves_go_to_the_next() {
    let queue = Queue::new(1);
    let (first, second) = (waiting_thread(queue.get()), waiting_thread(queue.get()));
    queue.try_put(1).unwrap();
    drop(first);
    assert_eq!(ready_for_thread(second), Some(1));

    queue.try_put(1).unwrap();
    let (first, second) = (waiting_thread(queue.put(2)), waiting_thread(queue.put(3)));
    assert_eq!(queue.try_get(), Ok(1));
    drop(first);
    assert_eq!(ready_for_thread(second), Ok(()));
    assert_eq!(queue.try_get(), Ok(3));
}

#[test]
fn a_notified_waiter_is_handed_the_lock() {
    let (mutex, condition) = (Mutex::new(()), Condition::new());
    let notified = waiting_thread(condition.wait(mutex.try_lock().unwrap()));
    let guard = mutex.try_lock().unwrap();
    condition.notify_one(&guard);
    drop(guard);
    assert!(
        mutex.is_locked(),
        "it goes on before the notifier's next turn"
    );
    drop(ready_for_thread(notified));
}

#[test]
fn threads_and_tasks_in_one_queue_lose_no_item() {
    const ROUNDS: usize = if cfg!(miri) { 20 } else { 3_000 };
    let semaphore = Semaphore::new(2);
    let inside = AtomicUsize::new(0);
    thread::scope(|scope| {
        for number in 0..6 {
            let (semaphore, inside) = (&semaphore, &inside);
            scope.spawn(move || {
                let parker = runtime_kernel::park::Parker::new();
                let waker = parker.unparker().into();
                for round in 0..ROUNDS {
                    let count = 1 + (round + number) % 2;
                    let mut acquire = Box::pin(semaphore.acquire_many(count));
                    if (round + number) % 5 == 0 {
                        // A waiter that gives up, called or not.
                        drop(poll_as_thread(acquire.as_mut()));
                        continue;
                    }
                    let permit = if number % 2 == 0 {
                        block_on(acquire).unwrap()
                    } else {
                        // Another executor's task.
                        loop {
                            match acquire.as_mut().poll(&mut Context::from_waker(&waker)) {
                                Poll::Ready(permit) => break permit.unwrap(),
                                Poll::Pending => {
                                    parker.park(None);
                                }
                            }
                        }
                    };
                    assert!(inside.fetch_add(count, Ordering::Relaxed) + count <= 2);
                    inside.fetch_sub(count, Ordering::Relaxed);
                    drop(permit);
                }
            });
        }
    });
    assert_eq!(semaphore.available_permits(), 2);
}
