//! The primitives of synchronisation.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use super::operation::{Loops, Operation, ROUNDS, operation};
use runtime_library::sync::{Barrier, Condition, Event, Mutex, Queue, Semaphore, oneshot};
use runtime_library::{ChannelReceiver, ChannelSender, Runtime};

pub(super) fn operations<R: Runtime>() -> Vec<Operation<R>> {
    let mut all = vec![
        operation(
            "a free lock",
            &[
                "sync/mutex.rs: Future for Lock",
                "sync/mutex.rs: lock_owned",
            ],
            |loops: Loops<R>| async move {
                let mutex = Arc::new(Mutex::new(0));
                for _ in loops.rounds() {
                    *mutex.lock().await += 1;
                }
                for _ in loops.rounds() {
                    *Arc::clone(&mutex).lock_owned().await += 1;
                }
            },
        ),
        operation(
            "a condition that is true",
            &["sync/condition.rs: wait_for"],
            |loops: Loops<R>| async move {
                let (mutex, condition) = (Mutex::new(0), Condition::new());
                let mut guard = mutex.try_lock().expect("it is free");
                for _ in loops.rounds() {
                    guard = condition.wait_for(guard, |_| true).await;
                }
            },
        ),
        operation(
            "an event that is set",
            &["sync/event.rs: Future for WaitSet"],
            |loops: Loops<R>| async move {
                let event = Event::new();
                event.set();
                for _ in loops.rounds() {
                    event.wait().await;
                }
            },
        ),
        operation(
            "one of many events that are set",
            &[],
            |loops: Loops<R>| async move {
                let events: Vec<Event> = (0..2000).map(|_| Event::new()).collect();
                events.iter().for_each(Event::set);
                for _ in loops.rounds() {
                    // A select in order, with the task's own waker: when the budget is used up, all branches are
                    // refused in one poll.
                    poll_fn(|cx| {
                        let ready = |event: &Event| pin!(event.wait()).poll(cx).is_ready();
                        if events.iter().any(ready) {
                            Poll::Ready(())
                        } else {
                            Poll::Pending
                        }
                    })
                    .await;
                }
            },
        ),
        operation(
            "a barrier for one, and a broken one",
            &["sync/barrier.rs: Future for WaitAll"],
            |loops: Loops<R>| async move {
                let barrier = Barrier::new(1);
                for _ in loops.rounds() {
                    assert!(barrier.wait().await.is_ok());
                }
                barrier.abort();
                for _ in loops.rounds() {
                    assert!(barrier.wait().await.is_err());
                }
            },
        ),
        operation(
            "permits that are free, none, and of a closed semaphore",
            &[
                "sync/semaphore.rs: Future for Acquire",
                "sync/semaphore.rs: acquire_owned",
                "sync/semaphore.rs: acquire_many_owned",
            ],
            |loops: Loops<R>| async move {
                let semaphore = Arc::new(Semaphore::new(4));
                for _ in loops.rounds() {
                    drop(semaphore.acquire().await.expect("it is open"));
                }
                for _ in loops.rounds() {
                    let owned = Arc::clone(&semaphore).acquire_owned().await;
                    drop(owned.expect("it is open"));
                }
                for _ in loops.rounds() {
                    let owned = Arc::clone(&semaphore).acquire_many_owned(3).await;
                    drop(owned.expect("it is open"));
                }
                for _ in loops.rounds() {
                    drop(semaphore.acquire_many(0).await.expect("it is open"));
                }
                semaphore.close();
                for _ in loops.rounds() {
                    assert!(semaphore.acquire().await.is_err());
                }
            },
        ),
    ];
    all.extend(passing());
    all
}

fn passing<R: Runtime>() -> Vec<Operation<R>> {
    vec![
        operation(
            "a queue with room, with items, finished and closed",
            &[
                "sync/queue/waiting.rs: Future for Put",
                "sync/queue/waiting.rs: Future for Get",
                "sync/queue/waiting.rs: Future for Join",
                "sync/queue/job.rs: get_job",
            ],
            |loops: Loops<R>| async move {
                let queue = Queue::new(2 * ROUNDS);
                for _ in loops.rounds() {
                    queue.join().await;
                }
                for round in loops.rounds() {
                    assert!(queue.put(round).await.is_ok());
                }
                for round in loops.rounds() {
                    assert_eq!(queue.get().await, Some(round));
                }
                for round in 0..ROUNDS {
                    assert!(queue.try_put(round).is_ok());
                }
                for round in loops.rounds() {
                    let job = queue.get_job().await;
                    assert!(job.is_some_and(|job| *job == round));
                }
                queue.close();
                for round in loops.rounds() {
                    assert!(queue.put(round).await.is_err());
                }
                for _ in loops.rounds() {
                    assert!(queue.get().await.is_none());
                }
            },
        ),
        operation(
            "one shots that were sent, or closed",
            &[
                "sync/oneshot.rs: Future for Receiver",
                "sync/oneshot.rs: closed",
                "sync/oneshot.rs: poll_closed",
            ],
            |loops: Loops<R>| async move {
                for round in loops.rounds() {
                    let (sender, receiver) = oneshot::channel();
                    assert!(sender.send(round).is_ok());
                    assert_eq!(receiver.await, Ok(round));
                }
                let (mut sender, receiver) = oneshot::channel::<()>();
                drop(receiver);
                for _ in loops.rounds() {
                    sender.closed().await;
                }
                for _ in loops.rounds() {
                    poll_fn(|cx| sender.poll_closed(cx)).await;
                }
            },
        ),
        operation(
            "the runtime's channel",
            &["sync/channel.rs: send", "sync/channel.rs: recv"],
            |loops: Loops<R>| async move {
                let (sender, mut receiver) = loops.runtime.channel(2 * ROUNDS);
                for round in loops.rounds() {
                    assert!(sender.send(round).await.is_ok());
                }
                for round in loops.rounds() {
                    assert_eq!(receiver.recv().await, Some(round));
                }
                drop(sender);
                for _ in loops.rounds() {
                    assert_eq!(receiver.recv().await, None);
                }
            },
        ),
    ]
}
