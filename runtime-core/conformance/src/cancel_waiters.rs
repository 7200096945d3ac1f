//! Clauses 7 and 8 for the core's primitives: a waiter that leaves loses nothing, and waiters are served in order.
//!
//! Every position in the queue x the moment at which its waiter leaves: before its turn; after it was granted what it
//! waited for, without having noticed; or after it has continued, and the next waiter was granted something.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_lite::future::poll_once;

use super::Subject;
use super::event::{Count, Event};
use super::outcome::Outcome;
use super::stress::Xorshift;
use runtime_kernel::TaskHandle;
use runtime_library::Runtime;
use runtime_library::sync::{Queue, Semaphore, Signal, oneshot};

pub(super) const WAITERS: usize = 5;

/// When a waiter leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Departure {
    BeforeItsTurn,
    InItsTurn,
    HavingGoneOn,
}

/// Every position in a queue of `WAITERS` x every moment.
pub(super) fn departures() -> impl Iterator<Item = (usize, Departure)> {
    (0..WAITERS).flat_map(|position| {
        [
            Departure::BeforeItsTurn,
            Departure::InItsTurn,
            Departure::HavingGoneOn,
        ]
        .map(move |departure| (position, departure))
    })
}

/// A queue of waiters; the one at `position` leaves, and `serve` serves the next. Returns who was served, in that
/// order.
pub(super) async fn serve_all<F: Future>(
    mut line: Vec<Pin<Box<F>>>,
    (position, departure): (usize, Departure),
    mut serve: impl FnMut(),
) -> Vec<usize> {
    for waiter in &mut line {
        assert!(poll_once(waiter).await.is_none(), "nobody has served it");
    }
    let mut line: Vec<_> = line.into_iter().enumerate().collect();
    let mut served = Vec::new();
    if departure == Departure::BeforeItsTurn {
        drop(line.remove(position));
    }
    let mut gone_on = None;
    for turn in 0..expected((position, departure)).len() {
        serve();
        // It takes nothing that belongs to the next one.
        drop(gone_on.take());
        if departure == Departure::InItsTurn && turn == position {
            // It was granted what it waited for, and leaves without having noticed.
            drop(line.remove(0));
        }
        let (number, waiter) = &mut line[0];
        assert!(
            poll_once(waiter).await.is_some(),
            "turn {turn}: waiter {number} was passed over"
        );
        served.push(*number);
        let (number, waiter) = line.remove(0);
        if departure == Departure::HavingGoneOn && number == position {
            gone_on = Some(waiter);
        }
    }
    served
}

/// Who is served, in the order of arrival: all except a waiter that left before it continued.
pub(super) fn expected((position, departure): (usize, Departure)) -> Vec<usize> {
    (0..WAITERS)
        .filter(|number| *number != position || departure == Departure::HavingGoneOn)
        .collect()
}

/// 7, 8: a waiter that leaves a semaphore's queue passes its permit on, whenever it leaves.
pub fn c07_a_dropped_acquire_passes_its_permit_on<S: Subject>() {
    let subject = S::start();
    subject.run(async {
        for departure in departures() {
            let semaphore = Semaphore::new(0);
            let line = (0..WAITERS)
                .map(|_| Box::pin(async { semaphore.acquire().await.expect("open").forget() }))
                .collect();
            let served = serve_all(line, departure, || semaphore.add_permits(1)).await;
            assert_eq!(served, expected(departure), "{departure:?}");
            assert_eq!(semaphore.available_permits(), 0, "{departure:?}");
        }
    });
}

/// 7, 8: a waiter that leaves a queue's wait queue takes no item with it.
pub fn c07_a_dropped_get_leaves_its_item<S: Subject>() {
    let subject = S::start();
    subject.run(async {
        for departure in departures() {
            let queue = Queue::new(WAITERS);
            let line = (0..WAITERS).map(|_| Box::pin(queue.get())).collect();
            let mut item = 0;
            let served = serve_all(line, departure, || {
                item += 1;
                queue.try_put(item).expect("there is room");
            });
            assert_eq!(served.await, expected(departure), "{departure:?}");
            assert!(queue.is_empty(), "{departure:?}");
        }
    });
}

/// 7, 8: a waiter for room in a queue that leaves passes its room to the next, and its item is not put in.
pub fn c07_a_dropped_put_leaves_its_room<S: Subject>() {
    let subject = S::start();
    subject.run(async {
        for departure in departures() {
            let queue = Queue::new(1);
            queue.try_put(usize::MAX).expect("there is room");
            let line = (0..WAITERS)
                .map(|number| Box::pin(queue.put(number)))
                .collect();
            let mut got = Vec::new();
            let served = serve_all(line, departure, || {
                got.push(queue.try_get().expect("it is full"));
            });
            let served = served.await;
            got.extend(queue.try_get());
            // A waiter that leaves in its turn may already have put its item in. Then the next one must wait for room
            // again.
            let expected = expected(departure);
            assert_eq!(served, expected, "{departure:?}");
            got.retain(|item| expected.contains(item));
            assert_eq!(got, expected, "{departure:?}");
        }
    });
}

/// 7, 8: if a notified waiter is dropped before it sees the notification, the notification goes to the next.
pub fn c07_a_dropped_wait_passes_its_notification_on<S: Subject>() {
    let subject = S::start();
    subject.run(async {
        for departure in departures() {
            let signal = Signal::new();
            let line = (0..WAITERS).map(|_| Box::pin(signal.wait())).collect();
            let served = serve_all(line, departure, || assert!(signal.notify_one()));
            assert_eq!(served.await, expected(departure), "{departure:?}");
            assert_eq!(signal.waiters(), 0, "{departure:?}");
        }
    });
}

/// 8: those that waited when all were notified continue; those that came later do not.
pub fn c08_a_notification_is_for_those_who_wait<S: Subject>() {
    let subject = S::start();
    subject.run(async {
        let signal = Signal::new();
        let mut early: Vec<_> = (0..WAITERS).map(|_| Box::pin(signal.wait())).collect();
        for waiter in &mut early {
            assert!(poll_once(waiter).await.is_none());
        }
        assert_eq!(signal.notify_all(), WAITERS);
        let mut late = Box::pin(signal.wait());
        assert!(poll_once(&mut late).await.is_none(), "it came too late");
        for waiter in early {
            waiter.await;
        }
        assert!(poll_once(&mut late).await.is_none(), "it came too late");
        assert!(signal.notify_one());
        late.await;
    });
}

/// 8: a newcomer does not overtake: while a task waits, newcomers get no free permits and items.
pub fn c08_a_newcomer_does_not_overtake<S: Subject>() {
    let subject = S::start();
    subject.run(async {
        // A large request at the head blocks small ones.
        let semaphore = Semaphore::new(1);
        let mut large = Box::pin(semaphore.acquire_many(2));
        assert!(poll_once(&mut large).await.is_none());
        let mut small = Box::pin(semaphore.acquire());
        assert!(
            poll_once(&mut small).await.is_none(),
            "it overtook the large request"
        );
        assert!(semaphore.try_acquire().is_err(), "it overtook both");
        semaphore.add_permits(1);
        let held = large.await.expect("open");
        assert!(
            poll_once(&mut small).await.is_none(),
            "both permits are taken"
        );
        drop(held);
        small.await.expect("open").forget();

        // Nobody takes the item of a waiter that was served and has not noticed yet.
        let queue = Queue::new(1);
        let mut waits = Box::pin(queue.get());
        assert!(poll_once(&mut waits).await.is_none());
        queue.try_put(1).expect("there is room");
        assert!(queue.try_get().is_err(), "the item is the waiter's");
        assert_eq!(waits.await, Some(1));
    });
}

/// 8: waiting tasks are served in the order in which they began to wait.
pub fn c08_tasks_are_served_in_turn<S: Subject>() {
    const TASKS: usize = 50;
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        let semaphore = Arc::new(Semaphore::new(0));
        let order: Arc<Mutex<Vec<usize>>> = Arc::default();
        let served = Count::new();
        for number in 0..TASKS {
            let waits = Event::new();
            let (line, order, notify, served) = (
                Arc::clone(&semaphore),
                Arc::clone(&order),
                waits.clone(),
                served.clone(),
            );
            drop(rt.spawn(async move {
                let mut acquire = Box::pin(line.acquire());
                assert!(poll_once(&mut acquire).await.is_none());
                notify.set();
                acquire.await.expect("open").forget();
                order
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(number);
                served.add();
            }));
            // The next one comes when this one is in the queue.
            waits.wait().await;
        }
        for number in 0..TASKS {
            semaphore.add_permits(1);
            served.reach(number + 1).await;
        }
        let order = std::mem::take(&mut *order.lock().unwrap_or_else(PoisonError::into_inner));
        assert_eq!(order, (0..TASKS).collect::<Vec<_>>());
    });
}

/// 7: waiters that are aborted or time out, at random, lose no permit.
pub fn c07_aborted_waiters_lose_no_permit<S: Subject>() {
    const PERMITS: usize = 3;
    const TASKS: usize = 200;
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        let semaphore = Arc::new(Semaphore::new(PERMITS));
        let mut random = Xorshift::new(7);
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let (own, line) = (rt.clone(), Arc::clone(&semaphore));
                let limit = Duration::from_micros(random.below(2_000));
                let yields = random.below(4);
                rt.spawn(async move {
                    if let Ok(permit) = own.timeout(limit, line.acquire_owned()).await {
                        for _ in 0..yields {
                            own.yield_now().await;
                        }
                        drop(permit);
                    }
                })
            })
            .collect();
        for task in tasks {
            if random.once_in(3) {
                task.abort();
            }
            if random.once_in(2) {
                rt.yield_now().await;
            }
            assert!(matches!(
                Outcome::of(task.await),
                Outcome::Returned | Outcome::Cancelled
            ));
        }
        assert_eq!(semaphore.available_permits(), PERMITS);
        let all = semaphore.acquire_many(PERMITS).await.expect("all are back");
        drop(all);
    });
}

/// 7: a promise is kept across threads; its sender sees that the receiver is gone, and the receiver that the sender
/// is.
pub fn c07_promises_are_kept_or_broken<S: Subject>() {
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        for round in 0..100 {
            let (sender, receiver) = oneshot::channel();
            let waiting = rt.spawn(receiver);
            if round % 2 == 0 {
                rt.yield_now().await;
            }
            std::thread::spawn(move || sender.send(round))
                .join()
                .expect("sends")
                .expect("awaited");
            assert_eq!(waiting.await.expect("the receiver"), Ok(round));
        }
        let (sender, receiver) = oneshot::channel::<()>();
        let waiting = rt.spawn(receiver);
        drop(sender);
        assert_eq!(waiting.await.expect("the receiver"), Err(oneshot::Broken));

        let (mut sender, receiver) = oneshot::channel::<()>();
        let waiting = rt.spawn(receiver);
        let noticing = rt.spawn(async move {
            sender.closed().await;
            sender.send(())
        });
        waiting.abort();
        assert!(waiting.await.is_err());
        assert_eq!(
            noticing.await.expect("the sender"),
            Err(()),
            "nobody will look at it"
        );
    });
}

/// 7, 10: a queue between many tasks, some of which are aborted: no item is lost or seen twice.
pub fn c07_queues_lose_nothing_between_many_tasks<S: Subject>() {
    const GETTERS: usize = 6;
    const ITEMS: usize = 2_000;
    let subject = S::start();
    let rt = subject.handle();
    subject.run(async move {
        let queue = Arc::new(Queue::new(3));
        let got: Arc<Mutex<Vec<usize>>> = Arc::default();
        let getter = || {
            let (queue, got) = (Arc::clone(&queue), Arc::clone(&got));
            rt.spawn(async move {
                while let Some(item) = queue.get().await {
                    got.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(item);
                }
            })
        };
        let mut getters: Vec<_> = (0..GETTERS).map(|_| getter()).collect();
        let mut random = Xorshift::new(8);
        for item in 0..ITEMS {
            queue.put(item).await.expect("open");
            if random.once_in(20) {
                let aborted = std::mem::replace(
                    &mut getters[random.below(GETTERS as u64) as usize],
                    getter(),
                );
                aborted.abort();
                drop(aborted);
            }
        }
        queue.close();
        for getter in getters {
            getter.await.expect("a getter");
        }
        // Aborted getters may have been in the middle of a poll, and may still hold the list: everything that was put
        // was got.
        loop {
            let mut got = got.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if got.len() >= ITEMS {
                got.sort_unstable();
                assert_eq!(got, (0..ITEMS).collect::<Vec<_>>());
                break;
            }
            rt.yield_now().await;
        }
    });
}
