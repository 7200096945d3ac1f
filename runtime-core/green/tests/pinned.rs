//! M:N: a green task stays on the worker that began it, whatever that worker does.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use runtime_core::green::{self, wait};
use runtime_core::sync::Event;
use runtime_core::{Native, yield_now};

#[test]
fn a_green_task_stays_on_the_worker_that_began_it() {
    let runtime = runtime_mn::Runtime::builder().workers(4).build().unwrap();
    let handle = runtime.handle().clone();
    let threads = Arc::new(Mutex::new(HashSet::new()));
    runtime.block_on(async move {
        let tasks: Vec<_> = (0..200)
            .map(|_| {
                let threads = Arc::clone(&threads);
                green::spawn_on(&handle, move || {
                    let own = thread::current().id();
                    threads.lock().unwrap().insert(own);
                    for round in 0..50 {
                        if round % 10 == 0 {
                            green::sleep(Duration::from_micros(100));
                        } else {
                            green::yield_now();
                        }
                        assert_eq!(thread::current().id(), own);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

/// A stuck worker delays its own green tasks; all others continue, including those that begin meanwhile.
#[test]
fn a_stuck_worker_delays_only_its_own_green_tasks() {
    let runtime = runtime_mn::Runtime::builder().workers(1).build().unwrap();
    let handle = runtime.handle().clone();
    let (pinned, released) = (Arc::new(Event::new()), Arc::new(AtomicBool::new(false)));
    let went_on = Arc::new(AtomicBool::new(false));
    runtime.block_on(async move {
        let waits = {
            let (pinned, went_on) = (Arc::clone(&pinned), Arc::clone(&went_on));
            let go = Arc::new(Event::new());
            let inner = Arc::clone(&go);
            let begun = Arc::new(Event::new());
            let inner_begun = Arc::clone(&begun);
            let task = green::spawn_on(&handle, move || {
                pinned.set();
                inner_begun.set();
                wait(inner.wait());
                went_on.store(true, SeqCst);
            });
            begun.wait().await;
            (task, go)
        };
        let stuck = {
            let (released, is_stuck) = (Arc::clone(&released), Arc::new(Event::new()));
            let inner = Arc::clone(&is_stuck);
            let task = Native::spawn(&handle, async move {
                inner.set();
                while !released.load(SeqCst) {
                    std::hint::spin_loop();
                }
            });
            is_stuck.wait().await;
            task
        };
        waits.1.set();
        // A replacement worker runs this task, and keeps it until it has ended.
        for _ in 0..10 {
            let thread = green::spawn_on(&handle, || {
                let own = thread::current().id();
                for _ in 0..10 {
                    green::sleep(Duration::from_micros(100));
                    assert_eq!(thread::current().id(), own);
                }
            });
            thread.await.unwrap();
        }
        assert!(!went_on.load(SeqCst), "its worker is stuck");
        released.store(true, SeqCst);
        stuck.await.unwrap();
        waits.0.await.unwrap();
        assert!(went_on.load(SeqCst));
    });
}

#[test]
fn a_green_task_may_block_in_place() {
    let runtime = runtime_mn::Runtime::builder().workers(2).build().unwrap();
    let handle = runtime.handle().clone();
    runtime.block_on(async move {
        // As many as there may be replacement workers.
        let tasks: Vec<_> = (0..8)
            .map(|number| {
                let handle = handle.clone();
                green::spawn_on(&handle.clone(), move || {
                    let own = thread::current().id();
                    green::yield_now();
                    let inner = handle.clone();
                    let sum = runtime_mn::block_in_place(move || {
                        inner.block_on(async move {
                            yield_now().await;
                            number + 1
                        })
                    });
                    green::yield_now();
                    assert_eq!(thread::current().id(), own);
                    sum
                })
            })
            .collect();
        for (number, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.unwrap(), number + 1);
        }
    });
}
