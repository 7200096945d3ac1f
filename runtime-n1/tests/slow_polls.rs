//! Tasks that block the loop are reported: those that return late from their poll, and those that never return.

use std::future::ready;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use runtime_core::{context, sleep, yield_now};
use runtime_n1::{Loop, SlowPoll, consume_budget, unconstrained};

const LIMIT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(60);

/// A loop, and the reports of its hook.
fn watched() -> (Loop, mpsc::Receiver<SlowPoll>) {
    let (sender, receiver) = mpsc::channel();
    let event_loop = Loop::builder()
        .on_slow_poll(LIMIT, move |poll| {
            let _ = sender.send(poll.clone());
        })
        .build()
        .unwrap();
    (event_loop, receiver)
}

#[test]
fn a_task_that_never_returns_from_its_poll_is_named_while_it_lasts() {
    let (event_loop, receiver) = watched();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let hog = event_loop.handle().spawn_named("hog", async move {
        // A future of another library: always ready, and without a budget.
        while !stopped.load(SeqCst) {
            ready(()).await;
        }
    });
    let watcher = thread::spawn(move || {
        let stuck = receiver.recv_timeout(LONG).unwrap();
        assert_eq!(stuck.task, "hog");
        assert!(
            stuck
                .spawned_at
                .is_some_and(|at| at.file().ends_with("slow_polls.rs"))
        );
        assert!(stuck.lasted >= LIMIT);
        assert!(!stuck.returned);
        assert!(stuck.to_string().contains("`hog`"), "{stuck}");
        stop.store(true, SeqCst);
        let ended = receiver.recv_timeout(LONG).unwrap();
        assert_eq!(ended.task, "hog");
        assert!(ended.returned && ended.lasted >= stuck.lasted);
    });
    event_loop.block_on(hog).unwrap();
    watcher.join().unwrap();
}

#[test]
fn a_task_without_a_name_is_named_by_its_future() {
    async fn computes() {
        let begun = Instant::now();
        while begun.elapsed() < 2 * LIMIT {
            std::hint::spin_loop();
        }
    }
    let (event_loop, receiver) = watched();
    event_loop.block_on(computes());
    let ended = receiver.iter().find(|poll| poll.returned).unwrap();
    assert!(ended.task.contains("computes"), "{ended}");
}

#[test]
fn an_idle_loop_and_short_polls_are_not_reported() {
    // Long enough that no machine delays a thread for that time.
    const IDLE: Duration = Duration::from_secs(1);
    let (event_loop, receiver) = watched();
    event_loop.block_on(async {
        sleep(IDLE).await;
        for _ in 0..1000 {
            yield_now().await;
        }
    });
    drop(event_loop);
    // Under load a short poll may be reported because its thread had no processor. The sleep is never reported.
    assert!(receiver.iter().all(|poll| poll.lasted < IDLE));
}

#[test]
fn a_hook_that_panics_or_uses_the_loop_disturbs_no_task() {
    let (sender, receiver) = mpsc::channel();
    let event_loop = Loop::builder()
        .on_slow_poll(LIMIT, move |poll| {
            if poll.returned {
                // On the loop's thread: it spawns here.
                drop(runtime_core::spawn(async {}));
                let _ = sender.send(());
            }
            panic!("on purpose");
        })
        .build()
        .unwrap();
    for _ in 0..2 {
        let handle = event_loop.handle().clone();
        let value = event_loop.block_on(async move {
            thread::sleep(2 * LIMIT);
            handle.spawn(async { 7 }).await.unwrap()
        });
        assert_eq!(value, 7);
        receiver.recv_timeout(LONG).unwrap();
    }
}

#[test]
fn a_hook_that_forgets_a_guard_leaves_the_loop_in_its_runtime() {
    let other = Loop::new().unwrap();
    let foreign = other.handle().clone();
    let event_loop = Loop::builder()
        .on_slow_poll(LIMIT, move |poll| {
            if poll.returned {
                // On the loop's thread, between two polls.
                std::mem::forget(foreign.enter());
            }
        })
        .build()
        .unwrap();
    event_loop.block_on(async {
        let current = || context::try_with(Arc::clone).unwrap();
        let own = current();
        thread::sleep(2 * LIMIT);
        yield_now().await;
        assert!(Arc::ptr_eq(&own, &current()));
    });
}

#[test]
fn with_consume_budget_a_loop_over_foreign_futures_lets_others_run() {
    let event_loop = Loop::new().unwrap();
    event_loop.block_on(async {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let hog = runtime_core::spawn(async move {
            while !stopped.load(SeqCst) {
                ready(()).await;
                consume_budget().await;
            }
        });
        sleep(Duration::from_millis(1)).await;
        stop.store(true, SeqCst);
        hog.await.unwrap();
        // Without a budget, a thousand operations are one poll.
        let before = runtime_n1::Handle::current();
        let polls = || runtime_core::Runtime::metrics(&before).polls;
        yield_now().await;
        let begun = polls();
        unconstrained(async {
            for _ in 0..1000 {
                consume_budget().await;
            }
        })
        .await;
        assert_eq!(polls(), begun);
    });
}
