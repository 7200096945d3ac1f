//! How long eight tasks of 9 ms take if they are spawned together, depending on what the workers did before.
//!
//! The tasks sleep in their polls, so that more workers than processors can run them side by side. With two workers the
//! best is 36 ms, with four it is 18 ms.
//!
//! `cargo run --release -p runtime-mn --example makespan`

use std::time::{Duration, Instant};

use runtime_core::{sleep, spawn};
use runtime_mn::Runtime;

const TASKS: usize = 8;
const LONG: Duration = Duration::from_millis(9);
const ROUNDS: usize = 7;

#[derive(Clone, Copy, Debug)]
enum History {
    Fresh,
    /// 100,000 tiny tasks, a hundred at a time.
    Burst,
    /// The same, and then an idle second.
    BurstAndRest,
    /// 100,000 tiny tasks at once, and then an idle second.
    FlatAndRest,
}

async fn tiny(batches: usize, tasks: usize) {
    for _ in 0..batches {
        let tasks: Vec<_> = (0..tasks).map(|_| spawn(async {})).collect();
        for task in tasks {
            task.await.unwrap();
        }
    }
}

async fn live(history: History) {
    match history {
        History::Fresh => {}
        History::Burst => tiny(1000, 100).await,
        History::BurstAndRest => {
            tiny(1000, 100).await;
            sleep(Duration::from_secs(1)).await;
        }
        History::FlatAndRest => {
            tiny(1, 100_000).await;
            sleep(Duration::from_secs(1)).await;
        }
    }
}

async fn makespan() -> Duration {
    let began = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| spawn(async { std::thread::sleep(LONG) }))
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    began.elapsed()
}

fn main() {
    for workers in [2, 4] {
        for history in [
            History::Fresh,
            History::Burst,
            History::BurstAndRest,
            History::FlatAndRest,
        ] {
            let mut all: Vec<_> = (0..ROUNDS)
                .map(|_| {
                    let runtime = Runtime::builder()
                        .workers(workers)
                        .warn_of_stuck(false)
                        .build()
                        .unwrap();
                    runtime.block_on(async move {
                        live(history).await;
                        makespan().await.as_millis()
                    })
                })
                .collect();
            all.sort_unstable();
            println!("{workers} workers, {history:?}: {all:?} ms");
        }
    }
}
