//! Clauses 7 and 8 over mutex, condition, event and barrier.

use std::sync::Arc;

use futures_lite::future::poll_once;

use super::Subject;
use super::cancel_waiters::{WAITERS, departures, expected, serve_all};
use super::event::Count;
use super::outcome::Outcome;
use super::stress::Xorshift;
use super::sync_tasks::{Tasks, on};
use runtime_library::sync::{Barrier, Condition, Event, Mutex};

/// 7, 8: a waiter that leaves a mutex's queue passes the lock on, whenever it leaves.
pub fn c07_a_dropped_lock_hands_it_on<S: Subject>() {
    on::<S>(|_| Box::pin(dropped_locks()));
}

async fn dropped_locks() {
    for departure in departures() {
        let mutex = Mutex::new(());
        let mut held = mutex.try_lock();
        let line = (0..WAITERS).map(|_| Box::pin(mutex.lock())).collect();
        // Each waiter that is served unlocks at once, which serves the next.
        let served = serve_all(line, departure, || drop(held.take())).await;
        assert_eq!(served, expected(departure), "{departure:?}");
        assert!(!mutex.is_locked(), "{departure:?}");
    }
}

/// 7, 8: if a notified waiter of a condition is dropped before it continues, the notification goes to the next, and
/// the lock with it.
pub fn c07_a_dropped_condition_wait_passes_its_notification_on<S: Subject>() {
    on::<S>(|_| Box::pin(dropped_condition_waits()));
}

async fn dropped_condition_waits() {
    for departure in departures() {
        let (mutex, condition) = (Mutex::new(()), Condition::new());
        let line = (0..WAITERS)
            .map(|_| {
                Box::pin(async {
                    let guard = mutex.try_lock().expect("nobody has gone on");
                    drop(condition.wait(guard).await);
                })
            })
            .collect();
        let served = serve_all(line, departure, || {
            let guard = mutex.try_lock().expect("nobody has gone on");
            assert!(condition.notify_one(&guard));
        });
        assert_eq!(served.await, expected(departure), "{departure:?}");
        assert_eq!(condition.waiters(), 0, "{departure:?}");
        assert!(!mutex.is_locked(), "{departure:?}");
    }
}

/// 8: tasks in a mutex's queue continue in the order of their arrival, although some are aborted at any moment. 7: all
/// others do continue. If newcomers may overtake the queue for a bounded time, this holds for those that were in the
/// queue.
pub fn c08_locks_are_handed_over_in_turn_at_random<S: Subject>() {
    on::<S>(|tasks| Box::pin(random_locks(tasks)));
}

async fn random_locks(tasks: Tasks) {
    const TASKS: usize = 30;
    for seed in 0..15 {
        // A fresh budget for each round: a task without budget would not get into the queue.
        tasks.yield_now().await;
        let mut random = Xorshift::new(seed);
        let mutex = Arc::new(Mutex::new(Vec::new()));
        let mut held = mutex.clone().try_lock_owned();
        let (mut line, mut aborted) = (Vec::new(), [false; TASKS]);
        let mut stood = [true; TASKS];
        for (number, stood) in stood.iter_mut().enumerate() {
            let mut lock = Box::pin(mutex.clone().lock_owned());
            // In the queue before the next one comes, whenever the task runs.
            let at_once = poll_once(&mut lock).await;
            *stood = at_once.is_none() || !tasks.are_overtaken();
            let (own, yields) = (tasks.clone(), random.below(3));
            line.push(tasks.spawn(async move {
                let mut guard = match at_once {
                    Some(guard) => guard,
                    None => lock.await,
                };
                for _ in 0..yields {
                    own.yield_now().await;
                }
                guard.push(number);
            }));
            if random.once_in(3) {
                let gone = random.below(line.len() as u64) as usize;
                line[gone].abort();
                aborted[gone] = true;
            }
            if random.once_in(20) {
                drop(held.take());
            }
        }
        drop(held);
        for (number, task) in line.into_iter().enumerate() {
            let outcome = task.outcome().await;
            assert!(
                outcome == Outcome::Returned || aborted[number],
                "{outcome:?}"
            );
        }
        let order = mutex.lock().await;
        let in_line = order.iter().filter(|number| stood[**number]);
        assert!(in_line.is_sorted(), "seed {seed}: {order:?}");
        let missing = (0..TASKS).find(|number| !aborted[*number] && !order.contains(number));
        assert_eq!(missing, None, "seed {seed}: {order:?}");
    }
}

/// 7, 8: random notifications and random aborts: as many continue as were notified, in the order of their arrival.
pub fn c07_notifications_reach_as_many_as_were_notified<S: Subject>() {
    on::<S>(|tasks| Box::pin(random_notifications(tasks)));
}

async fn random_notifications(tasks: Tasks) {
    const TASKS: usize = 30;
    for seed in 0..15 {
        let mut random = Xorshift::new(seed);
        let shared = Arc::new((Mutex::new(Vec::new()), Condition::new()));
        let mut line = Vec::new();
        for number in 0..TASKS {
            let own = Arc::clone(&shared);
            let mut wait = Box::pin(async move {
                let guard = own.0.try_lock().expect("nobody has gone on");
                own.1.wait(guard).await.push(number);
            });
            assert!(poll_once(&mut wait).await.is_none());
            line.push(tasks.spawn(wait));
        }
        let mut notified = 0;
        for _ in 0..12 {
            if random.once_in(2) {
                let guard = shared.0.lock().await;
                notified += shared.1.notify(&guard, random.below(3) as usize);
                if random.once_in(2) {
                    tasks.yield_now().await;
                }
            } else {
                line[random.below(TASKS as u64) as usize].abort();
            }
        }
        // At most 12 are gone, so that there is a waiter for each notification.
        let reached = notified.min(TASKS - 12);
        loop {
            let order = shared.0.lock().await;
            assert!(
                order.len() <= notified,
                "seed {seed}: nobody else was notified"
            );
            if order.len() >= reached {
                break;
            }
            drop(order);
            tasks.yield_now().await;
        }
        let guard = shared.0.lock().await;
        shared.1.notify_all(&guard);
        drop(guard);
        for task in line {
            task.outcome().await;
        }
        let order = shared.0.lock().await;
        assert!(order.is_sorted(), "seed {seed}: {order:?}");
    }
}

/// 8: the example that explains conditions: five wait; none, one and two are notified, with a pause after each, and
/// then all. They report in one order.
pub fn c08_the_condition_example_comes_in_order<S: Subject>() {
    on::<S>(|tasks| Box::pin(condition_example(tasks)));
}

async fn condition_example(tasks: Tasks) {
    const WORKERS: usize = 5;
    let shared = Arc::new((Mutex::new(Vec::new()), Condition::new()));
    let released = Count::new();
    let mut workers = Vec::new();
    for number in 0..WORKERS {
        let (own, notify) = (Arc::clone(&shared), released.clone());
        workers.push(tasks.spawn(async move {
            let mut said = own.0.lock().await;
            said.push(format!("worker {number} waits"));
            let mut said = own.1.wait(said).await;
            said.push(format!("worker {number} is released"));
            notify.add();
        }));
        tasks.until(|| shared.1.waiters() > number).await;
    }
    let mut sum = 0;
    for count in 0..3 {
        let mut said = shared.0.lock().await;
        said.push(format!("notify {count}"));
        assert_eq!(shared.1.notify(&said, count), count);
        drop(said);
        // The pause: those that were notified get their turn, and if others were, they would get it too.
        sum += count;
        released.reach(sum).await;
        for _ in 0..3 {
            tasks.yield_now().await;
        }
    }
    let mut said = shared.0.lock().await;
    said.push("notify all".to_owned());
    shared.1.notify_all(&said);
    drop(said);
    for worker in workers {
        worker.returned().await;
    }
    let said = shared.0.lock().await;
    assert_eq!(
        *said,
        [
            "worker 0 waits",
            "worker 1 waits",
            "worker 2 waits",
            "worker 3 waits",
            "worker 4 waits",
            "notify 0",
            "notify 1",
            "worker 0 is released",
            "notify 2",
            "worker 1 is released",
            "worker 2 is released",
            "notify all",
            "worker 3 is released",
            "worker 4 is released",
        ]
    );
}

/// 8: a waiter for a predicate continues when it is true, with the lock, and lets others have the lock until then. 7:
/// when it is dropped, it holds nothing.
pub fn c08_a_condition_waits_until_its_predicate_is_true<S: Subject>() {
    on::<S>(|_| Box::pin(until_true()));
}

async fn until_true() {
    const ENOUGH: usize = 3;
    let (level, changed) = (Mutex::new(0), Condition::new());
    let mut at_once = Box::pin(changed.wait_for(level.lock().await, |level| *level == 0));
    assert!(poll_once(&mut at_once).await.is_some(), "it is true");
    for dropped in [true, false] {
        *level.lock().await = 0;
        let mut waits = Box::pin(changed.wait_for(level.lock().await, |level| *level >= ENOUGH));
        for _ in 0..ENOUGH {
            assert!(poll_once(&mut waits).await.is_none(), "it is not true");
            let mut guard = level.try_lock().expect("who waits does not hold it");
            *guard += 1;
            changed.notify_all(&guard);
        }
        if dropped {
            drop(waits);
        } else {
            let guard = waits.await;
            assert_eq!(*guard, ENOUGH);
            assert!(level.is_locked());
        }
        assert!(!level.is_locked());
        assert_eq!(changed.waiters(), 0);
    }
}

/// 8: if many are notified at once, they continue in the order of their arrival, each with the lock, although all
/// could run.
pub fn c08_all_who_are_notified_go_on_in_turn<S: Subject>() {
    on::<S>(|tasks| Box::pin(all_in_turn(tasks)));
}

async fn all_in_turn(tasks: Tasks) {
    const TASKS: usize = 100;
    for _ in 0..5 {
        let shared = Arc::new((Mutex::new(Vec::new()), Condition::new()));
        let mut line = Vec::new();
        for number in 0..TASKS {
            let (own, yields) = (Arc::clone(&shared), tasks.clone());
            let mut wait = Box::pin(async move {
                let guard = own.0.try_lock().expect("nobody has gone on");
                let mut order = own.1.wait(guard).await;
                if number % 7 == 0 {
                    yields.yield_now().await;
                }
                order.push(number);
            });
            assert!(poll_once(&mut wait).await.is_none());
            line.push(tasks.spawn(wait));
        }
        let guard = shared.0.lock().await;
        assert_eq!(shared.1.notify_all(&guard), TASKS);
        drop(guard);
        for task in line {
            task.returned().await;
        }
        let order = shared.0.lock().await;
        assert_eq!(*order, (0..TASKS).collect::<Vec<_>>());
    }
}

/// 8: an event that is set and cleared at once releases all that waited, and nobody that comes later.
pub fn c08_an_event_set_and_cleared_releases_who_waited<S: Subject>() {
    on::<S>(|tasks| Box::pin(set_and_cleared(tasks)));
}

async fn set_and_cleared(tasks: Tasks) {
    const TASKS: usize = 80;
    for round in 0..20 {
        let event = Arc::new(Event::new());
        let waiter = || {
            let event = Arc::clone(&event);
            Box::pin(async move { event.wait().await })
        };
        let mut early = Vec::new();
        for number in 0..TASKS {
            let mut wait = waiter();
            assert!(poll_once(&mut wait).await.is_none());
            let task = tasks.spawn(wait);
            // 7: if one leaves, before or after, that affects nobody else.
            if number % 5 == 0 {
                task.abort();
            } else {
                early.push(task);
            }
        }
        if round % 2 == 0 {
            tasks.yield_now().await;
        }
        event.set();
        event.clear();
        let mut late = waiter();
        assert!(poll_once(&mut late).await.is_none(), "it came too late");
        for task in early {
            task.returned().await;
        }
        let late = tasks.spawn(late);
        event.set();
        late.returned().await;
        tasks.spawn(waiter()).returned().await;
    }
}

/// 7: tasks at a barrier keep in step, although some of those that wait there are aborted and come again.
pub fn c07_a_barrier_does_not_count_who_left<S: Subject>() {
    on::<S>(|tasks| Box::pin(barriers(tasks)));
}

async fn barriers(tasks: Tasks) {
    const PARTIES: usize = 4;
    const ROUNDS: usize = 50;
    let barrier = Arc::new(Barrier::new(PARTIES));
    let led = Count::new();
    // Two keep coming; the root is the third. The fourth of a round comes after one that came before has left again.
    let party = || {
        let (barrier, notify) = (Arc::clone(&barrier), led.clone());
        async move {
            let arrival = barrier.wait().await.expect("nobody breaks it");
            assert!(arrival.index() < PARTIES);
            if arrival.is_leader() {
                notify.add();
            }
        }
    };
    for round in 0..ROUNDS {
        let mut here = vec![tasks.spawn(party()), tasks.spawn(party())];
        let gone = tasks.spawn(party());
        tasks.until(|| barrier.waiting() == PARTIES - 1).await;
        gone.abort();
        assert_eq!(gone.outcome().await, Outcome::Cancelled);
        assert_eq!(barrier.waiting(), PARTIES - 2);
        assert_eq!(led.get(), round, "one who left was counted");
        here.push(tasks.spawn(party()));
        party().await;
        for task in here {
            task.returned().await;
        }
        assert_eq!(led.get(), round + 1);
    }
}

/// 8: tasks that go from one barrier to the next are in step: none is a round ahead.
pub fn c08_barriers_keep_tasks_in_step<S: Subject>() {
    on::<S>(|tasks| Box::pin(in_step(tasks)));
}

async fn in_step(tasks: Tasks) {
    const PARTIES: usize = 5;
    const ROUNDS: usize = 200;
    let shared = Arc::new((Barrier::new(PARTIES), Count::new()));
    let parties: Vec<_> = (0..PARTIES)
        .map(|_| {
            let own = Arc::clone(&shared);
            tasks.spawn(async move {
                for round in 1..=ROUNDS {
                    own.1.add();
                    own.0.wait().await.expect("nobody breaks it");
                    assert!(own.1.get() >= round * PARTIES, "somebody is missing");
                    own.0.wait().await.expect("nobody breaks it");
                    assert!(own.1.get() <= (round + 1) * PARTIES, "somebody is ahead");
                }
            })
        })
        .collect();
    for party in parties {
        party.returned().await;
    }
    assert_eq!(shared.1.get(), PARTIES * ROUNDS);
}
