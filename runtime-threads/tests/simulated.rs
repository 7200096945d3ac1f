//! Simulated time beside what only 1:1 has: threads that come and go, and non-worker threads without a thread that
//! would wait for them.

use std::thread;
use std::time::Duration;

use runtime_core::time::{Clock, now, sleep, sleep_until};
use runtime_threads::{Builder, Runtime};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

fn simulated() -> Builder {
    Runtime::builder().clock(Clock::simulated())
}

#[test]
fn the_last_task_that_ends_lets_time_pass_for_those_that_wait() {
    let runtime = simulated().build().unwrap();
    for _ in 0..200 {
        let sleeper = runtime.handle().spawn(async {
            let start = now();
            sleep(HOUR).await;
            now() - start
        });
        // It ends on its thread, and nobody waits for it.
        drop(runtime.handle().spawn(async { thread::yield_now() }));
        let slept = futures_lite::future::block_on(sleeper).unwrap();
        assert!(slept >= HOUR);
    }
}

#[test]
fn guests_sleep_in_simulated_time_without_any_task() {
    let runtime = simulated().build().unwrap();
    let _entered = runtime.handle().enter();
    let start = now();
    futures_lite::future::block_on(async {
        for hour in 1..=100 {
            sleep_until(start + hour * HOUR).await;
            assert!(now() >= start + hour * HOUR);
        }
    });
}

#[test]
fn guests_and_tasks_sleep_side_by_side() {
    let runtime = simulated().build().unwrap();
    let handle = runtime.handle();
    let sleeper = handle.spawn(async {
        for _ in 0..200 {
            sleep(3 * MS).await;
        }
    });
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let _entered = handle.enter();
                for _ in 0..200 {
                    futures_lite::future::block_on(sleep(2 * MS));
                }
            });
        }
    });
    futures_lite::future::block_on(sleeper).unwrap();
}
