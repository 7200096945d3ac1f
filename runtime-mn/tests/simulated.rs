//! Simulated time together with what only M:N has: workers that are away or stuck, replacement workers, the CPU-bound
//! pool, and the monitor that watches them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use runtime_core::time::{Clock, interval, now, sleep, sleep_until};
use runtime_core::{Runtime as _, spawn, yield_now};
use runtime_mn::policy::{
    Deadline, GlobalQueue, GoLike, Locality, NoSteal, Policy, Priority, RandomSteal, Shed,
    TokioLike,
};
use runtime_mn::{Builder, Runtime, block_in_place};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);
/// More than a tick of the timers.
const TICK: Duration = Duration::from_micros(300);

fn simulated(workers: usize) -> Builder {
    let builder = Runtime::builder().workers(workers).warn_of_stuck(false);
    builder.clock(Clock::simulated())
}

#[track_caller]
fn assert_is_now(expected: Instant) {
    let now = now();
    assert!(now >= expected, "{:?} too early", expected - now);
    assert!(now < expected + TICK, "{:?} too late", now - expected);
}

#[test]
fn time_stands_still_while_tasks_block_in_place_and_passes_when_their_replacements_have_gone() {
    for workers in [1, 2] {
        let runtime = simulated(workers).build().unwrap();
        runtime.block_on(async move {
            for _ in 0..20 {
                let start = now();
                let sleeper = spawn(async move {
                    sleep(HOUR).await;
                    assert_is_now(start + HOUR);
                });
                let blocks = spawn(async move {
                    block_in_place(|| {
                        thread::sleep(2 * MS);
                        // As a non-worker thread it still knows the clock.
                        assert_eq!(now(), start);
                    });
                    assert_eq!(now(), start);
                });
                // A replacement worker has something to do, and to give back.
                for _ in 0..5 {
                    spawn(yield_now()).await.unwrap();
                }
                blocks.await.unwrap();
                assert_eq!(now(), start);
                sleeper.await.unwrap();
            }
        });
    }
}

/// Tasks with long polls: the monitor hands off their workers' queues, moves the tasks that they have queued, and
/// finally sends them to the CPU-bound pool. During all of this, only as much time may pass as the tasks sleep.
fn check_with_cpu_bound_tasks<P: Policy>(policy: P) {
    let name = policy.name();
    let runtime = simulated(2).stuck_after(2 * MS).build_with(policy).unwrap();
    runtime.block_on(async move {
        let finished = Arc::new(AtomicUsize::new(0));
        let bound_tasks = (0..3_u32).map(|task| {
            let finished = Arc::clone(&finished);
            spawn(async move {
                for round in 0..12 {
                    let start = now();
                    thread::sleep(4 * MS);
                    assert_eq!(now(), start, "in a poll");
                    sleep_until(start + (task + round) * MS).await;
                    assert_is_now(start + (task + round) * MS);
                }
                finished.fetch_add(1, SeqCst);
            })
        });
        let others = (0..8_u32).map(|other| {
            let finished = Arc::clone(&finished);
            spawn(async move {
                for round in 0..60 {
                    let deadline = now() + ((other + round) % 7) * MS;
                    sleep_until(deadline).await;
                    assert_is_now(deadline);
                    let start = now();
                    spawn(yield_now()).await.unwrap();
                    assert_eq!(now(), start);
                }
                finished.fetch_add(1, SeqCst);
            })
        });
        let tasks: Vec<_> = bound_tasks.chain(others).collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(finished.load(SeqCst), 11, "under {name}");
    });
}

#[test]
fn time_stands_still_while_stuck_workers_are_replaced() {
    check_with_cpu_bound_tasks(GoLike);
    check_with_cpu_bound_tasks(TokioLike);
    check_with_cpu_bound_tasks(GlobalQueue);
    check_with_cpu_bound_tasks(NoSteal);
    check_with_cpu_bound_tasks(RandomSteal);
    check_with_cpu_bound_tasks(Priority::default());
    check_with_cpu_bound_tasks(Deadline::default());
    check_with_cpu_bound_tasks(Locality);
    check_with_cpu_bound_tasks(Shed::default());
}

#[test]
fn a_simulated_year_is_not_a_stuck_poll() {
    let runtime = simulated(2).build().unwrap();
    let handle = runtime.handle().clone();
    runtime.block_on(async move {
        let mut days = interval(24 * HOUR);
        for _ in 0..365 {
            days.tick().await;
        }
        let metrics = handle.metrics();
        assert_eq!(metrics.stuck_polls, Some(0));
        let busy: Duration = metrics.workers.iter().map(|worker| worker.busy).sum();
        assert!(busy < HOUR, "measured by the system's clock");
    });
}

#[test]
fn a_non_workers_own_executor_sleeps_in_simulated_time() {
    let runtime = simulated(2).build().unwrap();
    let _entered = runtime.enter();
    let start = now();
    futures_lite::future::block_on(async {
        for hour in 1..=100 {
            sleep_until(start + hour * HOUR).await;
            assert!(now() >= start + hour * HOUR);
        }
    });
}
