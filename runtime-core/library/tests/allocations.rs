//! The primitives allocate nothing, whether or not somebody waits: a waiter's node lies in its future.
#![allow(unsafe_code)]
#![cfg(not(any(lab_loom, lab_shuttle)))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::Future;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use runtime_core::sync::{
    Barrier, Condition, Event, LifoQueue, Mutex, PriorityQueue, Queue, Semaphore, Signal,
};

thread_local! {
    // Each test has its own thread, so this does not count what other tests and the harness allocate.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, with a count of the calling thread's allocations, including growth.
struct Counting;

// SAFETY: both methods are the system allocator's, which keeps the promises; the count itself allocates nothing. The
// other methods use these two.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that ends may allocate after its count was destroyed.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are the same, and `alloc` got it from there.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(mut operation: impl FnMut()) -> usize {
    // The first call may set up what stays, such as the thread's budget and a queue's memory.
    operation();
    let before = ALLOCATIONS.get();
    for _ in 0..100 {
        operation();
    }
    ALLOCATIONS.get() - before
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// The output of a future that does not wait.
fn at_once<F: Future>(future: F) -> F::Output {
    match poll(pin!(future)) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

/// The output of a future that waits once, until `serve` lets it continue.
fn once_served<F: Future>(future: F, serve: impl FnOnce()) -> F::Output {
    let mut future = pin!(future);
    assert!(poll(future.as_mut()).is_pending(), "it does not wait");
    serve();
    at_once(future)
}

#[test]
fn allocations_are_counted() {
    assert_eq!(allocations(|| drop(black_box(Box::new(1)))), 100);
}

#[test]
fn a_lock_allocates_nothing() {
    let mutex = Mutex::new(0);
    assert_eq!(allocations(|| *at_once(mutex.lock()) += 1), 0);
    let handed_over = || {
        let held = mutex.try_lock();
        *once_served(mutex.lock(), || drop(held)) += 1;
    };
    assert_eq!(allocations(handed_over), 0);
}

#[test]
fn a_permit_allocates_nothing() {
    let semaphore = Semaphore::new(1);
    let alone = || drop(at_once(semaphore.acquire()).expect("open"));
    assert_eq!(allocations(alone), 0);
    let handed_over = || {
        let held = semaphore.try_acquire();
        drop(once_served(semaphore.acquire(), || drop(held)).expect("open"));
    };
    assert_eq!(allocations(handed_over), 0);
}

#[test]
fn an_event_allocates_nothing() {
    let (event, signal) = (Event::new(), Signal::new());
    let set_before = || {
        event.set();
        at_once(event.wait());
        event.clear();
    };
    assert_eq!(allocations(set_before), 0);
    let set_later = || {
        once_served(event.wait(), || event.set());
        event.clear();
    };
    assert_eq!(allocations(set_later), 0);
    let notified = || once_served(signal.wait(), || assert!(signal.notify_one()));
    assert_eq!(allocations(notified), 0);
}

#[test]
fn a_condition_and_a_barrier_allocate_nothing() {
    let (mutex, changed, barrier) = (Mutex::new(()), Condition::new(), Barrier::new(2));
    let notified = || {
        let guard = mutex.try_lock().expect("free");
        let notify = || assert!(changed.notify_one(&mutex.try_lock().expect("free")));
        drop(once_served(changed.wait(guard), notify));
    };
    assert_eq!(allocations(notified), 0);
    let met = || {
        let arrive = || _ = at_once(barrier.wait()).expect("nobody breaks it");
        once_served(barrier.wait(), arrive).expect("nobody breaks it");
    };
    assert_eq!(allocations(met), 0);
}

/// Not even a queue that is filled and emptied allocates, once it has been as full before.
#[test]
fn a_queue_allocates_nothing() {
    const ITEMS: usize = 8;
    macro_rules! check {
        ($queue:expr) => {
            let queue = $queue;
            let filled = || {
                (0..ITEMS).for_each(|item| at_once(queue.put(item)).expect("open"));
                (0..ITEMS).for_each(|_| assert!(at_once(queue.get()).is_some()));
            };
            assert_eq!(allocations(filled), 0);
            let got_later = || {
                let put = || at_once(queue.put(1)).expect("open");
                assert_eq!(once_served(queue.get(), put), Some(1));
            };
            assert_eq!(allocations(got_later), 0);
            let put_later = || {
                (0..ITEMS).for_each(|item| queue.try_put(item).expect("room"));
                let get = || assert!(queue.try_get().is_ok());
                once_served(queue.put(7), get).expect("open");
                (0..ITEMS).for_each(|_| assert!(queue.try_get().is_ok()));
            };
            assert_eq!(allocations(put_later), 0);
        };
    }
    check!(Queue::new(ITEMS));
    check!(LifoQueue::new(ITEMS));
    check!(PriorityQueue::new(ITEMS));
}
