//! How many tasks of a multiplying set run before the turn of a task that sleeps for 150 us.
//!
//! Each task of the set spawns two more, yields once, and then waits. The numbers are the worst of all rounds. To see
//! the effect of a busy machine, run several of these at once.
//!
//! `cargo run --release -p runtime-mn --example multiplying_set -- [WORKERS] [ROUNDS]`

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use runtime_core::sync::Event;
use runtime_core::{sleep, spawn, yield_now};
use runtime_mn::Runtime;

/// A round ends at this many tasks, whether the sleeper has run or not.
const MAX_TASKS: usize = 3_000_000;

#[derive(Default)]
struct Set {
    tasks: AtomicUsize,
    stop: AtomicBool,
    end: Event,
}

fn multiply(set: Arc<Set>) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        if set.stop.load(Relaxed) || set.tasks.fetch_add(1, Relaxed) >= MAX_TASKS {
            return;
        }
        for _ in 0..2 {
            drop(spawn(multiply(Arc::clone(&set))));
        }
        yield_now().await;
        set.end.wait().await;
    })
}

fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse().unwrap());
    let workers: usize = args.next().unwrap_or(2);
    let rounds: usize = args.next().unwrap_or(200);
    let mut counts: Vec<_> = (0..rounds)
        .map(|_| {
            let runtime = Runtime::builder()
                .workers(workers)
                .warn_of_stuck(false)
                .build()
                .unwrap();
            runtime.block_on(async {
                let set = Arc::new(Set::default());
                let of_sleeper = Arc::clone(&set);
                let sleeper = spawn(async move {
                    sleep(Duration::from_micros(150)).await;
                    of_sleeper.stop.store(true, Relaxed);
                    of_sleeper.tasks.load(Relaxed)
                });
                drop(spawn(multiply(Arc::clone(&set))));
                let tasks = sleeper.await.unwrap();
                set.end.set();
                tasks
            })
        })
        .collect();
    counts.sort_unstable();
    println!(
        "{workers} workers, {rounds} rounds: median {}, worst {:?}",
        counts[rounds / 2],
        &counts[rounds.saturating_sub(3)..]
    );
}
