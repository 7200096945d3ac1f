//! Semaphore, queue, channel, promise and signal: corner cases, stress, and in `model_tests` comparisons with models.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use super::polled::{poll_once, waiting};
use super::*;
use runtime_kernel::budget;
use runtime_kernel::park::block_on_current_thread as block_on;

#[derive(Default)]
struct CountWakes(AtomicUsize);

impl Wake for CountWakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Checks that any task can use the futures of this module.
fn _futures_can_be_sent() {
    fn send<T: Send>(_: T) {}
    let semaphore = Semaphore::new(1);
    send(semaphore.acquire());
    let (sender, receiver) = channel::<u32>(1);
    send(sender.send(1));
    send(receiver.recv());
    send(Signal::new().wait());
    send(oneshot::channel::<u32>().1);
}

#[test]
fn a_newcomer_does_not_overtake_a_waiter_that_needs_more_permits() {
    let semaphore = Semaphore::new(2);
    let mut large = waiting(semaphore.acquire_many(3));
    assert_eq!(
        semaphore.try_acquire().map(|_| ()),
        Err(TryAcquireError::NoPermits)
    );
    let mut small = waiting(semaphore.acquire());
    semaphore.add_permits(1);
    assert!(poll_once(small.as_mut()).is_pending());
    let permits = match poll_once(large.as_mut()) {
        Poll::Ready(Ok(permits)) => permits,
        other => panic!("{other:?}"),
    };
    assert_eq!(permits.count(), 3);
    drop(permits);
    assert!(poll_once(small.as_mut()).is_ready());
}

#[test]
fn permits_go_to_waiters_in_fifo_order() {
    let semaphore = Semaphore::new(0);
    let mut waiters: Vec<_> = (0..100).map(|_| waiting(semaphore.acquire())).collect();
    semaphore.add_permits(60);
    assert_eq!(semaphore.available_permits(), 0);
    for (place, waiter) in waiters.iter_mut().enumerate().rev() {
        match poll_once(waiter.as_mut()) {
            Poll::Ready(permit) => {
                assert!(place < 60);
                permit.unwrap().forget();
            }
            Poll::Pending => assert!(place >= 60),
        }
    }
}

#[test]
fn a_dropped_waiter_gives_up_its_place_or_passes_its_permit_on() {
    let semaphore = Semaphore::new(1);
    let large = waiting(semaphore.acquire_many(2));
    let granted = waiting(semaphore.acquire());
    let mut last = waiting(semaphore.acquire());
    drop(large);
    assert_eq!(semaphore.available_permits(), 0, "granted to the second");
    drop(granted);
    assert!(poll_once(last.as_mut()).is_ready());
    assert_eq!(semaphore.available_permits(), 1);
}

#[test]
fn a_closed_semaphore_refuses_waiters_and_keeps_granted_permits() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    let mut first = waiting(semaphore.acquire());
    let mut second = waiting(semaphore.acquire());
    drop(held);
    semaphore.close();
    assert!(semaphore.is_closed());
    assert!(matches!(poll_once(first.as_mut()), Poll::Ready(Ok(_))));
    assert!(matches!(
        poll_once(second.as_mut()),
        Poll::Ready(Err(Closed))
    ));
    assert_eq!(block_on(semaphore.acquire()).map(|_| ()), Err(Closed));
    assert_eq!(
        semaphore.try_acquire().map(|_| ()),
        Err(TryAcquireError::Closed)
    );
}

#[test]
fn owned_permits_are_returned_and_forgotten_ones_are_not() {
    let semaphore = Arc::new(Semaphore::new(3));
    let two = block_on(semaphore.clone().acquire_many_owned(2)).unwrap();
    let one = semaphore.clone().try_acquire_owned().unwrap();
    assert_eq!(semaphore.available_permits(), 0);
    drop(two);
    one.forget();
    assert_eq!(semaphore.available_permits(), 2);
    semaphore.try_acquire().unwrap().forget();
    assert_eq!(semaphore.available_permits(), 1);
    assert_eq!(Arc::strong_count(&semaphore), 1);
}

#[test]
fn threads_that_hold_a_permit_exclude_each_other() {
    const ROUNDS: usize = if cfg!(miri) { 20 } else { 2000 };
    let semaphore = Semaphore::new(1);
    let inside = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    let _permit = semaphore.blocking_acquire().unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0);
                    inside.fetch_sub(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(semaphore.available_permits(), 1);
}

#[test]
fn an_exhausted_budget_stops_before_the_permit_is_taken() {
    let semaphore = Semaphore::new(usize::MAX >> 4);
    let before = semaphore.available_permits();
    let _armed = budget::arm();
    let mut taken = 0;
    while let Poll::Ready(permit) = poll_once(pin!(semaphore.acquire())) {
        permit.unwrap().forget();
        taken += 1;
    }
    assert_eq!(taken, budget::UNITS_PER_POLL as usize);
    assert_eq!(semaphore.available_permits(), before - taken);
}

#[test]
fn wakers_are_woken_and_dropped_outside_of_the_lock() {
    /// Uses the semaphore in its wake and its drop: a deadlock if the lock were held.
    struct Uses(Arc<Semaphore>);
    impl Wake for Uses {
        fn wake(self: Arc<Self>) {
            self.0.available_permits();
        }
    }
    impl Drop for Uses {
        fn drop(&mut self) {
            self.0.available_permits();
        }
    }
    let semaphore = Arc::new(Semaphore::new(0));
    let poll = |acquire: Pin<&mut Acquire<'_>>| {
        let waker = Waker::from(Arc::new(Uses(semaphore.clone())));
        acquire.poll(&mut Context::from_waker(&waker)).is_ready()
    };
    let mut waiters: Vec<_> = (0..100).map(|_| Box::pin(semaphore.acquire())).collect();
    for _ in 0..2 {
        assert!(!waiters.iter_mut().any(|waiter| poll(waiter.as_mut())));
    }
    waiters.truncate(90);
    semaphore.add_permits(100);
    assert!(waiters.iter_mut().all(|waiter| poll(waiter.as_mut())));
}

#[test]
fn a_waiter_that_moves_to_another_task_wakes_that_one() {
    let semaphore = Semaphore::new(0);
    let wakes = [
        Arc::new(CountWakes::default()),
        Arc::new(CountWakes::default()),
    ];
    let mut acquire = pin!(semaphore.acquire());
    for wake in &wakes {
        let waker = Waker::from(wake.clone());
        let polled = acquire.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
    }
    semaphore.add_permits(1);
    assert_eq!(wakes.map(|wake| wake.0.load(Ordering::Relaxed)), [0, 1]);
}

#[test]
fn a_full_queue_serves_putters_in_order_and_newcomers_after_them() {
    let queue = Queue::new(1);
    queue.try_put(0).unwrap();
    let mut first = waiting(queue.put(1));
    let mut second = waiting(queue.put(2));
    assert_eq!(queue.try_get(), Ok(0));
    assert_eq!(
        queue.try_put(9),
        Err(TryPutError::Full(9)),
        "the place is promised"
    );
    assert!(poll_once(second.as_mut()).is_pending());
    assert_eq!(poll_once(first.as_mut()), Poll::Ready(Ok(())));
    assert_eq!(queue.try_get(), Ok(1));
    assert_eq!(poll_once(second.as_mut()), Poll::Ready(Ok(())));
    assert_eq!((queue.len(), queue.capacity()), (1, 1));
}

#[test]
fn an_empty_queue_serves_getters_in_order_and_newcomers_after_them() {
    let queue = Queue::new(4);
    let mut first = waiting(queue.get());
    let mut second = waiting(queue.get());
    queue.try_put(1).unwrap();
    assert_eq!(
        queue.try_get(),
        Err(TryGetError::Empty),
        "the item is promised"
    );
    assert!(poll_once(second.as_mut()).is_pending());
    assert_eq!(poll_once(first.as_mut()), Poll::Ready(Some(1)));
    queue.try_put(2).unwrap();
    assert_eq!(poll_once(second.as_mut()), Poll::Ready(Some(2)));
}

#[test]
fn a_dropped_getter_or_putter_passes_its_grant_on() {
    let queue = Queue::new(1);
    let granted = waiting(queue.get());
    let mut next = waiting(queue.get());
    queue.try_put(1).unwrap();
    drop(granted);
    assert_eq!(poll_once(next.as_mut()), Poll::Ready(Some(1)));

    queue.try_put(2).unwrap();
    let granted = waiting(queue.put(3));
    let mut next = waiting(queue.put(4));
    assert_eq!(queue.try_get(), Ok(2));
    drop(granted);
    assert_eq!(poll_once(next.as_mut()), Poll::Ready(Ok(())));
    assert_eq!(queue.try_get(), Ok(4));
}

#[test]
fn a_closed_queue_yields_its_items_and_then_none() {
    let queue = Queue::new(2);
    queue.try_put(1).unwrap();
    queue.try_put(2).unwrap();
    let mut refused = waiting(queue.put(3));
    queue.close();
    assert_eq!(poll_once(refused.as_mut()), Poll::Ready(Err(3)));
    assert_eq!(queue.try_put(4), Err(TryPutError::Closed(4)));
    assert_eq!(block_on(queue.put(5)), Err(5));
    assert_eq!(block_on(queue.get()), Some(1));
    assert_eq!(queue.try_get(), Ok(2));
    assert_eq!(queue.try_get(), Err(TryGetError::Closed));
    assert_eq!(block_on(queue.get()), None);
}

#[test]
fn the_last_item_of_a_closed_queue_reaches_the_next_getter_if_the_first_is_dropped() {
    let queue = Queue::new(1);
    let first = waiting(queue.get());
    let mut second = waiting(queue.get());
    let mut third = waiting(queue.get());
    queue.try_put(1).unwrap();
    queue.close();
    assert!(poll_once(second.as_mut()).is_pending());
    drop(first);
    assert_eq!(poll_once(second.as_mut()), Poll::Ready(Some(1)));
    assert_eq!(poll_once(third.as_mut()), Poll::Ready(None));
}

#[test]
fn a_putter_with_a_promised_place_is_refused_if_the_queue_closes_first() {
    let queue = Queue::new(1);
    queue.try_put(1).unwrap();
    let mut putter = waiting(queue.put(2));
    assert_eq!(queue.try_get(), Ok(1));
    queue.close();
    assert_eq!(poll_once(putter.as_mut()), Poll::Ready(Err(2)));
    assert_eq!(block_on(queue.get()), None);
}

#[test]
#[should_panic(expected = "the capacity of a queue is zero")]
fn a_queue_without_capacity_is_refused() {
    let _ = Queue::<u32>::new(0);
}

#[test]
fn the_last_sender_ends_the_channel_and_the_last_receiver_refuses_and_drops() {
    let (sender, receiver) = channel(4);
    let other = sender.clone();
    drop(sender);
    block_on(other.send(1)).unwrap();
    drop(other);
    assert_eq!(block_on(receiver.recv()), Some(1));
    assert_eq!(block_on(receiver.recv()), None);

    let token = Arc::new(());
    let (sender, receiver) = channel(4);
    sender.try_send(token.clone()).unwrap();
    let other = receiver.clone();
    drop(receiver);
    assert!(!sender.is_closed());
    drop(other);
    assert!(sender.is_closed());
    assert_eq!(Arc::strong_count(&token), 1);
    assert!(block_on(sender.send(token)).is_err());
}

#[test]
fn many_threads_pass_every_item_once_while_waiters_give_up() {
    const ITEMS: usize = if cfg!(miri) { 60 } else { 4000 };
    let (sender, receiver) = channel(3);
    let received = std::sync::Mutex::new(BTreeSet::new());
    thread::scope(|scope| {
        for producer in 0..3 {
            let sender = sender.clone();
            scope.spawn(move || {
                for item in (0..ITEMS).filter(|item| item % 3 == producer) {
                    if item % 5 == 0 {
                        // If it has to wait, it gives up at the end of this statement, and tries again.
                        let polled = poll_once(pin!(sender.send(item)));
                        if let Poll::Ready(sent) = polled {
                            sent.unwrap();
                            continue;
                        }
                    }
                    sender.blocking_send(item).unwrap();
                }
            });
        }
        drop(sender);
        for _ in 0..3 {
            let (receiver, received) = (receiver.clone(), &received);
            scope.spawn(move || {
                loop {
                    let polled = poll_once(pin!(receiver.recv()));
                    let item = match polled {
                        Poll::Ready(item) => item,
                        Poll::Pending => receiver.blocking_recv(),
                    };
                    let Some(item) = item else { return };
                    assert!(received.lock().unwrap().insert(item), "{item} came twice");
                }
            });
        }
    });
    assert_eq!(received.into_inner().unwrap(), (0..ITEMS).collect());
}

#[test]
fn a_promise_is_kept_broken_or_refused() {
    let (sender, mut receiver) = oneshot::channel();
    assert_eq!(receiver.try_recv(), Err(oneshot::TryRecvError::Empty));
    sender.send(1).unwrap();
    assert_eq!(receiver.try_recv(), Ok(1));
    assert_eq!(receiver.try_recv(), Err(oneshot::TryRecvError::Broken));

    let (sender, receiver) = oneshot::channel::<u32>();
    drop(sender);
    assert_eq!(block_on(receiver), Err(oneshot::Broken));

    let (sender, receiver) = oneshot::channel();
    assert!(!sender.is_closed());
    drop(receiver);
    assert!(sender.is_closed());
    assert_eq!(sender.send(1), Err(1));
}

#[test]
fn a_closed_receiver_still_gets_a_value_sent_before() {
    let (sender, mut receiver) = oneshot::channel();
    sender.send(1).unwrap();
    receiver.close();
    assert_eq!(block_on(receiver), Ok(1));
}

#[test]
fn a_value_that_is_never_taken_is_dropped_with_the_receiver() {
    let token = Arc::new(());
    let (sender, receiver) = oneshot::channel();
    sender.send(token.clone()).unwrap();
    drop(receiver);
    assert_eq!(Arc::strong_count(&token), 1);
}

#[test]
fn a_sender_can_wait_for_the_receivers_end() {
    let (mut sender, receiver) = oneshot::channel::<u32>();
    {
        let mut closed = pin!(sender.closed());
        assert!(poll_once(closed.as_mut()).is_pending());
        drop(receiver);
        assert!(poll_once(closed).is_ready());
    }
    assert!(sender.is_closed());
}

#[test]
fn a_signal_stores_nothing_and_wakes_in_order() {
    let signal = Signal::new();
    assert!(!signal.notify_one());
    let mut waiters: Vec<_> = (0..100).map(|_| waiting(signal.wait())).collect();
    assert_eq!(signal.notify(40), 40);
    for (place, waiter) in waiters.iter_mut().enumerate() {
        assert_eq!(poll_once(waiter.as_mut()).is_ready(), place < 40);
    }
    assert_eq!(signal.notify(100), 60);
    assert_eq!(signal.waiters(), 0);
    let _late = waiting(signal.wait());
}

#[test]
fn a_notification_is_passed_on_unless_all_were_notified() {
    let signal = Signal::new();
    let first = waiting(signal.wait());
    let mut second = waiting(signal.wait());
    assert!(signal.notify_one());
    drop(first);
    assert!(poll_once(second.as_mut()).is_ready());

    let first = waiting(signal.wait());
    assert_eq!(signal.notify_all(), 1);
    let mut late = waiting(signal.wait());
    drop(first);
    assert!(
        poll_once(late.as_mut()).is_pending(),
        "it began to wait afterwards"
    );
}

mod blocking_forms_inside_of_a_task {
    //! They panic and say what to use instead.

    use super::*;
    use runtime_kernel::blocking::BlockingPool;
    use runtime_kernel::context::{self, Ambient, Binding, IoDriver, Refused, Role};
    use runtime_kernel::task::Task;
    use runtime_kernel::time::TimerShard;

    struct Nothing;

    impl Ambient for Nothing {
        fn name(&self) -> &'static str {
            "nothing"
        }
        fn scheduler_for_new_task(&self) -> Binding<'_> {
            unreachable!("no tasks here")
        }
        fn launch(&self, _: Task) -> Result<(), Refused> {
            unreachable!("no tasks here")
        }
        fn io_driver(&self) -> IoDriver {
            unreachable!("no sockets here")
        }
        fn timer_shard(&self) -> Arc<TimerShard> {
            unreachable!("no timers here")
        }
        fn blocking_pool(&self) -> &Arc<BlockingPool> {
            unreachable!("no blocking here")
        }
    }

    #[test]
    #[should_panic(expected = "use `acquire().await` instead")]
    fn of_a_semaphore() {
        let _worker = context::enter(Arc::new(Nothing), Role::Worker);
        let _ = Semaphore::new(1).blocking_acquire();
    }

    #[test]
    #[should_panic(expected = "use `get().await` instead")]
    fn of_a_queue() {
        let _worker = context::enter(Arc::new(Nothing), Role::Worker);
        let _ = Queue::<u32>::new(1).blocking_get();
    }

    #[test]
    #[should_panic(expected = "use `lock().await` instead")]
    fn of_a_mutex() {
        let _worker = context::enter(Arc::new(Nothing), Role::Worker);
        let _ = Mutex::new(1).blocking_lock();
    }

    #[test]
    #[should_panic(expected = "use `wait(..).await` instead")]
    fn of_a_condition() {
        let mutex = Mutex::new(1);
        let guard = mutex.blocking_lock();
        let _worker = context::enter(Arc::new(Nothing), Role::Worker);
        let _ = Condition::new().blocking_wait(guard);
    }

    #[test]
    #[should_panic(expected = "use `wait().await` instead")]
    fn of_an_event() {
        let _worker = context::enter(Arc::new(Nothing), Role::Worker);
        Event::new().blocking_wait();
    }

    #[test]
    #[should_panic(expected = "use `wait().await` instead")]
    fn of_a_barrier() {
        let _worker = context::enter(Arc::new(Nothing), Role::Worker);
        let _ = Barrier::new(1).blocking_wait();
    }

    #[test]
    #[should_panic(expected = "use `join().await` instead")]
    fn of_a_join() {
        let _worker = context::enter(Arc::new(Nothing), Role::Worker);
        Queue::<u32>::new(1).blocking_join();
    }

    #[test]
    #[should_panic(expected = "await it instead")]
    fn of_a_promise() {
        let _worker = context::enter(Arc::new(Nothing), Role::Worker);
        let _ = oneshot::channel::<u32>().1.blocking_recv();
    }
}
