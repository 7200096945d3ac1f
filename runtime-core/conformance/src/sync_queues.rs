//! Clauses 7 and 8 for what queues have beyond channels: joining, both ways to end, and other orders.

use std::sync::Arc;

use futures_lite::future::poll_once;

use super::Subject;
use super::event::Count;
use super::sync_tasks::{Tasks, on};
use runtime_library::sync::{LifoQueue, PriorityQueue, Queue, TryGetError};

/// 7: `join` waits until every item that was put is done; if a task is aborted with an item in hand, that item is
/// done.
pub fn c07_joining_a_queue_waits_for_all_that_was_put<S: Subject>() {
    on::<S>(|tasks| Box::pin(joined(tasks)));
}

async fn joined(tasks: Tasks) {
    const ITEMS: usize = 300;
    let (queue, done) = (Arc::new(Queue::new(7)), Count::new());
    let mut workers = Vec::new();
    for number in 0..4 {
        let (queue, done, own) = (Arc::clone(&queue), done.clone(), tasks.clone());
        workers.push(tasks.spawn(async move {
            if number % 2 == 0 {
                while let Some(job) = queue.get_job().await {
                    if *job % 5 == 0 {
                        own.yield_now().await;
                    }
                    done.add();
                }
            } else {
                while queue.get().await.is_some() {
                    own.yield_now().await;
                    done.add();
                    queue.task_done();
                }
            }
        }));
    }
    for item in 0..ITEMS {
        queue.put(item).await.expect("open");
    }
    queue.join().await;
    assert_eq!(done.get(), ITEMS);

    // A task that is aborted between its item and the end of its work blocks nobody.
    let (stuck, has_it) = (Arc::new(Queue::new(1)), Count::new());
    let (own, notify) = (Arc::clone(&stuck), has_it.clone());
    let worker = tasks.spawn(async move {
        let _job = own.get_job().await;
        notify.add();
        std::future::pending::<()>().await;
    });
    stuck.put(()).await.expect("open");
    has_it.reach(1).await;
    assert!(poll_once(stuck.join()).await.is_none());
    worker.abort();
    stuck.join().await;

    queue.close();
    for worker in workers {
        worker.returned().await;
    }
}

/// 7: a closed queue yields its remaining items. Waiters for room get an error; so do waiters for an item once it is
/// empty.
pub fn c07_closing_a_queue_loses_nothing_that_is_in_it<S: Subject>() {
    on::<S>(|tasks| Box::pin(closed(tasks)));
}

async fn closed(tasks: Tasks) {
    for _ in 0..30 {
        let (queue, refused, got) = (Arc::new(Queue::new(2)), Count::new(), Count::new());
        let putters: Vec<_> = (0..5)
            .map(|item| {
                let (queue, refused) = (Arc::clone(&queue), refused.clone());
                tasks.spawn(async move {
                    if queue.put(item).await.is_err() {
                        refused.add();
                    }
                })
            })
            .collect();
        tasks.until(|| queue.is_full()).await;
        queue.close();
        for putter in putters {
            putter.returned().await;
        }
        assert_eq!((queue.len(), refused.get()), (2, 3));
        let getters: Vec<_> = (0..4)
            .map(|_| {
                let (queue, got) = (Arc::clone(&queue), got.clone());
                tasks.spawn(async move {
                    if queue.get_job().await.is_some() {
                        got.add();
                    }
                })
            })
            .collect();
        for getter in getters {
            getter.returned().await;
        }
        assert_eq!(got.get(), 2);
        queue.join().await;
    }
}

/// 7: a drained queue turns all waiters away at once, and `join` then only waits for items that were taken before.
pub fn c07_draining_a_queue_sends_all_away<S: Subject>() {
    on::<S>(|tasks| Box::pin(drained(tasks)));
}

async fn drained(tasks: Tasks) {
    for _ in 0..30 {
        let (queue, refused) = (Arc::new(Queue::new(3)), Count::new());
        for item in 0..3 {
            queue.put(item).await.expect("open");
        }
        let taken = queue.get_job().await.expect("there are some");
        queue.put(3).await.expect("open");
        let putters: Vec<_> = (4..6)
            .map(|item| {
                let (queue, refused) = (Arc::clone(&queue), refused.clone());
                tasks.spawn(async move {
                    assert_eq!(queue.put(item).await, Err(item));
                    refused.add();
                })
            })
            .collect();
        tasks.yield_now().await;
        assert_eq!(queue.close_and_drain().collect::<Vec<_>>(), [1, 2, 3]);
        for putter in putters {
            putter.returned().await;
        }
        assert_eq!(refused.get(), 2);
        assert_eq!(queue.get().await, None);
        assert_eq!(queue.try_get(), Err(TryGetError::Closed));
        assert!(poll_once(queue.join()).await.is_none(), "one was taken");
        drop(taken);
        queue.join().await;

        let empty = Arc::new(Queue::<u8>::new(1));
        let own = Arc::clone(&empty);
        let getter = tasks.spawn(async move { assert_eq!(own.get().await, None) });
        tasks.yield_now().await;
        assert_eq!(empty.close_and_drain().count(), 0);
        getter.returned().await;
    }
}

/// 8: queues of other orders, between tasks: the smallest first, the last first.
pub fn c08_queues_of_other_orders_keep_them<S: Subject>() {
    on::<S>(|tasks| Box::pin(ordered(tasks)));
}

async fn ordered(tasks: Tasks) {
    const ITEMS: usize = 100;
    let (smallest, last) = (
        Arc::new(PriorityQueue::unbounded()),
        Arc::new(LifoQueue::new(ITEMS)),
    );
    let putters: Vec<_> = (0..4)
        .map(|part| {
            let (smallest, last, own) = (Arc::clone(&smallest), Arc::clone(&last), tasks.clone());
            tasks.spawn(async move {
                for item in (0..ITEMS).filter(|item| item % 4 == part) {
                    smallest.put(ITEMS - item).await.expect("open");
                    last.put((part, item)).await.expect("open");
                    if item % 3 == 0 {
                        own.yield_now().await;
                    }
                }
            })
        })
        .collect();
    for putter in putters {
        putter.returned().await;
    }
    let mut next = [usize::MAX; 4];
    for number in 1..=ITEMS {
        assert_eq!(smallest.get().await, Some(number));
        let (part, item) = last.get().await.expect("as many went in");
        assert!(item < next[part], "the last of each one's comes first");
        next[part] = item;
    }
    assert!(smallest.is_empty() && last.is_empty());
}
