//! Green tasks compared with stackless ones, as ratios within one run: spawn and join, a yield, and a round trip.
//!
//! `costs [TIMES]`

use std::future::Future;
use std::sync::OnceLock;

use runtime_core::green::{self, WaitExt, wait};
use runtime_core::sync::channel;
use runtime_core::{spawn, yield_now};
use rustix::time::{ClockId, clock_gettime};

const BATCH: u32 = 100;
const RUNS: u32 = 7;

/// How often each operation runs.
fn times() -> u32 {
    static TIMES: OnceLock<u32> = OnceLock::new();
    *TIMES.get_or_init(|| {
        let times = std::env::args().nth(1);
        times.map_or(200_000, |times| times.parse().expect("a number of times"))
    })
}

/// CPU time of the process, so that other programs do not count.
fn cpu_time_ns() -> u64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as u64 * 1_000_000_000 + used.tv_nsec as u64
}

/// Nanoseconds of CPU time for each operation of a batch.
async fn time_of(run: impl Future<Output = ()>) -> f64 {
    let start = cpu_time_ns();
    run.await;
    (cpu_time_ns() - start) as f64 / f64::from(times())
}

async fn spawn_stackless() {
    let spawner = spawn(async {
        for _ in 0..times() / BATCH {
            let tasks: Vec<_> = (0..BATCH)
                .map(|number| spawn(async move { number }))
                .collect();
            for task in tasks {
                task.await.expect("it returns");
            }
        }
    });
    spawner.await.expect("it returns");
}

async fn spawn_green() {
    let spawner = green::spawn(|| {
        for _ in 0..times() / BATCH {
            let tasks: Vec<_> = (0..BATCH)
                .map(|number| green::spawn(move || number))
                .collect();
            for task in tasks {
                wait(task).expect("it returns");
            }
        }
    });
    spawner.await.expect("it returns");
}

async fn yield_stackless() {
    let tasks: Vec<_> = (0..BATCH)
        .map(|_| {
            spawn(async {
                for _ in 0..times() / BATCH {
                    yield_now().await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("it returns");
    }
}

async fn yield_green() {
    let tasks: Vec<_> = (0..BATCH)
        .map(|_| green::spawn(|| (0..times() / BATCH).for_each(|_| green::yield_now())))
        .collect();
    for task in tasks {
        task.await.expect("it returns");
    }
}

async fn pingpong_stackless() {
    let (to_pong, from_ping) = channel(1);
    let (to_ping, from_pong) = channel(1);
    let pong = spawn(async move {
        while let Some(number) = from_ping.recv().await {
            let _ = to_ping.send(number).await;
        }
    });
    let ping = spawn(async move {
        for number in 0..times() {
            to_pong.send(number).await.expect("it listens");
            from_pong.recv().await.expect("it answers");
        }
    });
    ping.await.expect("it returns");
    pong.await.expect("it returns");
}

async fn pingpong_green() {
    let (to_pong, from_ping) = channel(1);
    let (to_ping, from_pong) = channel(1);
    let pong = green::spawn(move || {
        while let Some(number) = from_ping.recv().wait() {
            let _ = to_ping.send(number).wait();
        }
    });
    let ping = green::spawn(move || {
        for number in 0..times() {
            to_pong.send(number).wait().expect("it listens");
            from_pong.recv().wait().expect("it answers");
        }
    });
    ping.await.expect("it returns");
    pong.await.expect("it returns");
}

/// The best of several runs of each, taken in turn.
async fn compare(model: &str) {
    let mut best = [f64::INFINITY; 6];
    for _ in 0..RUNS {
        let now = [
            time_of(spawn_stackless()).await,
            time_of(spawn_green()).await,
            time_of(yield_stackless()).await,
            time_of(yield_green()).await,
            time_of(pingpong_stackless()).await,
            time_of(pingpong_green()).await,
        ];
        for (best, now) in best.iter_mut().zip(now) {
            *best = best.min(now);
        }
    }
    for (what, pair) in ["spawn and join", "yield", "round trip"]
        .iter()
        .zip(best.chunks(2))
    {
        let ratio = pair[1] / pair[0];
        println!(
            "{model} {what}: {:.0} ns stackless, {:.0} ns green, {ratio:.2}x",
            pair[0], pair[1]
        );
    }
}

fn main() -> std::io::Result<()> {
    runtime_n1::Loop::new()?.block_on(compare("N:1"));
    for workers in [1, 2] {
        let runtime = runtime_mn::Runtime::builder().workers(workers).build()?;
        let model = format!("M:N, {workers} workers,");
        runtime.block_on(async move { compare(&model).await });
    }
    Ok(())
}
