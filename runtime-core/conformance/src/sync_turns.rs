//! Clause 8 under contention: many tasks want the same thing all the time. Each gets its turn, and the turns change at
//! an acceptable rate.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use futures_lite::future::poll_once;

use super::Subject;
use super::event::Count;
use super::stress::size;
use super::sync_tasks::{Tasks, on};
use runtime_library::sync::{Mutex, Queue, Semaphore};

/// The number of tasks that compete.
const TASKS: usize = 8;

/// Runs that many tasks, and waits until they have ended.
async fn all<F: Future<Output = ()> + Send + 'static>(tasks: &Tasks, work: impl Fn(usize) -> F) {
    let spawned: Vec<_> = (0..TASKS).map(|number| tasks.spawn(work(number))).collect();
    for task in spawned {
        task.returned().await;
    }
}

/// 8: eight tasks repeatedly lock one mutex. If each turn cost a thread switch, this would take minutes.
pub fn c08_a_lock_that_all_want_changes_hands<S: Subject>() {
    on::<S>(|tasks| Box::pin(wanted_lock(tasks)));
}

async fn wanted_lock(tasks: Tasks) {
    let each = size(100_000);
    let mutex = Arc::new(Mutex::new(0));
    all(&tasks, |_| {
        let mutex = Arc::clone(&mutex);
        async move {
            for _ in 0..each {
                *mutex.lock().await += 1;
            }
        }
    })
    .await;
    assert_eq!(*mutex.try_lock().expect("nobody has it"), TASKS * each);
}

/// 7, 8: the same with permits, one or two at a time.
pub fn c08_permits_that_all_want_are_never_more<S: Subject>() {
    on::<S>(|tasks| Box::pin(wanted_permits(tasks)));
}

async fn wanted_permits(tasks: Tasks) {
    let each = size(20_000);
    for bound in [2, 3] {
        let shared = Arc::new((Semaphore::bounded(bound), AtomicUsize::new(0)));
        all(&tasks, |number| {
            let shared = Arc::clone(&shared);
            async move {
                let (semaphore, inside) = &*shared;
                for round in 0..each {
                    let count = 1 + (number + round) % 2;
                    let permit = semaphore.acquire_many(count).await.expect("open");
                    let now = inside.fetch_add(count, SeqCst) + count;
                    assert!(now <= bound, "{now} are inside of {bound}");
                    inside.fetch_sub(count, SeqCst);
                    drop(permit);
                }
            }
        })
        .await;
        assert_eq!(shared.0.available_permits(), bound);
    }
}

/// 7, 8: the same with a queue.
pub fn c08_a_queue_that_all_want_loses_no_item<S: Subject>() {
    on::<S>(|tasks| Box::pin(wanted_queue(tasks)));
}

async fn wanted_queue(tasks: Tasks) {
    let each = size(20_000);
    for capacity in [1, 128] {
        // With room for one item, nearly every operation waits.
        let each = if capacity == 1 { each / 20 } else { each };
        let shared = Arc::new((Queue::new(capacity), AtomicUsize::new(0)));
        all(&tasks, |number| {
            let shared = Arc::clone(&shared);
            async move {
                let (queue, sum) = &*shared;
                for item in 0..each {
                    if number % 2 == 0 {
                        queue.put(item).await.expect("open");
                    } else {
                        let item = queue.get().await.expect("open");
                        sum.fetch_add(item, SeqCst);
                    }
                }
            }
        })
        .await;
        let expected = TASKS / 2 * (0..each).sum::<usize>();
        assert_eq!(shared.1.load(SeqCst), expected);
        assert!(shared.0.is_empty());
    }
}

/// 8: a task that waits now and then gets its turn, although others come back as soon as they have left.
pub fn c08_whoever_waits_has_a_turn_beside_one_who_keeps_coming<S: Subject>() {
    on::<S>(|tasks| Box::pin(beside_greedy(tasks)));
}

async fn beside_greedy(tasks: Tasks) {
    const TURNS: usize = 200;
    let shared = Arc::new((Mutex::new(()), AtomicBool::new(false), Count::new()));
    let greedy: Vec<_> = (0..2)
        .map(|_| {
            let shared = Arc::clone(&shared);
            tasks.spawn(async move {
                while !shared.1.load(SeqCst) {
                    // Held for a while, and wanted again at once.
                    let guard = shared.0.lock().await;
                    (0..200).for_each(|_| std::hint::spin_loop());
                    drop(guard);
                    shared.2.add();
                }
            })
        })
        .collect();
    shared.2.reach(1).await;
    for _ in 0..TURNS {
        drop(shared.0.lock().await);
        tasks.yield_now().await;
    }
    shared.1.store(true, SeqCst);
    for task in greedy {
        task.returned().await;
    }
}

/// 8: those in the queue continue in the order in which they came, whatever newcomers do meanwhile.
pub fn c08_those_in_line_keep_their_order_beside_newcomers<S: Subject>() {
    on::<S>(|tasks| Box::pin(order_beside_newcomers(tasks)));
}

async fn order_beside_newcomers(tasks: Tasks) {
    for _ in 0..20 {
        // A fresh budget for each round: a task without budget would not get into the queue.
        tasks.yield_now().await;
        let shared = Arc::new((Mutex::new(Vec::new()), AtomicBool::new(false)));
        let held = shared.0.try_lock().expect("nobody has it");
        let mut line = Vec::new();
        for number in 0..20 {
            let own = Arc::clone(&shared);
            let mut turn = Box::pin(async move { own.0.lock().await.push(number) });
            assert!(poll_once(&mut turn).await.is_none(), "it is held");
            line.push(tasks.spawn(turn));
        }
        let newcomers: Vec<_> = (0..2)
            .map(|_| {
                let own = Arc::clone(&shared);
                tasks.spawn(async move {
                    while !own.1.load(SeqCst) {
                        drop(own.0.lock().await);
                    }
                })
            })
            .collect();
        drop(held);
        for task in line {
            task.returned().await;
        }
        shared.1.store(true, SeqCst);
        for task in newcomers {
            task.returned().await;
        }
        assert!(shared.0.lock().await.is_sorted());
    }
}
