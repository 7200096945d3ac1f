//! Work for other processes, awaited under each of the three schedulers: `cargo run -p docs --example process_pool`.

// ANCHOR: program
use std::io;
use std::ops::Range;
use std::time::Duration;

use runtime_core::combine::{as_completed, gather};
use runtime_core::{Launch, LaunchConfig, sleep, spawn};
use runtime_n1::process_pool::{self, CallError, ProcessPool};

/// Computes: one call at a time in each process.
fn fib(n: u64) -> u64 {
    if n < 2 { n } else { fib(n - 1) + fib(n - 2) }
}

/// Waits: a process's loop runs many calls at a time, and each may spawn its own tasks.
async fn squares(numbers: Range<u64>) -> u64 {
    let tasks = numbers.map(|number| {
        spawn(async move {
            sleep(Duration::from_millis(5)).await;
            number * number
        })
    });
    let squares = gather(tasks).await.expect("no task is lost");
    squares.iter().sum()
}

fn main() -> io::Result<()> {
    // This must come first: in the pool's processes it does not return.
    process_pool::init(|functions| {
        functions.add(fib).add_async(squares);
    });
    let config = LaunchConfig::default();
    let results = [
        runtime_n1::N1::run(&config, |_| work())??,
        runtime_mn::Mn::run(&config, |_| work())??,
        runtime_threads::Threads::run(&config, |_| work())??,
    ];
    assert_eq!(results, [(332_833_500, 832_040); 3]);
    Ok(())
}

async fn work() -> io::Result<(u64, u64)> {
    let pool = ProcessPool::new()?; // of one process less than there are cores
    let parts = (0..10).map(|part| pool.call_async(squares, 100 * part..100 * (part + 1)));
    let mut sum = 0;
    let mut completed = as_completed(parts);
    while let Some((part, answer)) = completed.next().await {
        println!("part {part} is done");
        sum += answer.map_err(io::Error::other)?;
    }
    match pool.call(fib, 30).await {
        Ok(number) => println!("fib(30) is {number}, says one of {:?}", pool.ids()),
        Err(CallError::ProcessDied { process, .. }) => println!("somebody has killed {process}"),
        Err(error) => println!("{error}"),
    }
    let number = pool.call(fib, 30).await.map_err(io::Error::other)?;
    Ok((sum, number))
}
// ANCHOR_END: program
