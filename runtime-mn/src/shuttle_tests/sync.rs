//! Locks, permits and queues between tasks on several workers.

use runtime_core::sync::{Mutex, Semaphore, channel};

use super::*;

#[test]
fn a_mutex_lets_one_task_in_at_a_time() {
    check_policies(|runtime| {
        let counter = Arc::new(Mutex::new(0));
        let tasks = [(); 3].map(|()| {
            let counter = Arc::clone(&counter);
            runtime.spawn(async move {
                for _ in 0..2 {
                    let mut counter = counter.lock().await;
                    let before = *counter;
                    yields(1).await;
                    *counter = before + 1;
                }
            })
        });
        let total = runtime.block_on(async move {
            for task in tasks {
                task.await.unwrap();
            }
            *counter.lock().await
        });
        assert_eq!(total, 6);
    });
}

#[test]
fn a_semaphore_admits_no_more_than_it_has_permits() {
    check_policies(|runtime| {
        let semaphore = Arc::new(Semaphore::new(2));
        let inside = Arc::new(AtomicUsize::new(0));
        let tasks = [(); 4].map(|()| {
            let (semaphore, inside) = (Arc::clone(&semaphore), Arc::clone(&inside));
            runtime.spawn(async move {
                let _permit = semaphore.acquire().await.unwrap();
                assert!(inside.fetch_add(1, Relaxed) < 2);
                yields(1).await;
                inside.fetch_sub(1, Relaxed);
            })
        });
        runtime.block_on(async move {
            for task in tasks {
                task.await.unwrap();
            }
        });
        assert_eq!(semaphore.available_permits(), 2);
    });
}

#[test]
fn items_arrive_once_and_in_order() {
    check_policies(|runtime| {
        let (sender, receiver) = channel(1);
        let senders = [0, 10].map(|first| {
            let sender = sender.clone();
            runtime.spawn(async move {
                for item in first..first + 3 {
                    sender.send(item).await.unwrap();
                }
            })
        });
        drop(sender);
        let received = runtime.block_on(async move {
            let mut received = Vec::new();
            while let Some(item) = receiver.recv().await {
                received.push(item);
            }
            for task in senders {
                task.await.unwrap();
            }
            received
        });
        for first in [0, 10] {
            let of_one = received
                .iter()
                .filter(|item| (first..first + 3).contains(*item));
            assert!(of_one.copied().eq(first..first + 3), "{received:?}");
        }
        assert_eq!(received.len(), 6);
    });
}
