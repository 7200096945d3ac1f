//! Work for other processes, awaited under each of the three schedulers: `cargo run -p docs --example process_pool`.

// ANCHOR: program
use std::time::Duration;

use runtime_core::{Launch, LaunchConfig};
use runtime_n1::process_pool::{self, CallError, ProcessPool};

/// Computes: one call at a time in each process.
fn fib(n: u64) -> u64 {
    if n < 2 { n } else { fib(n - 1) + fib(n - 2) }
}

/// Waits: as many at a time as there are, on the loop of a process.
async fn greet((name, ms): (String, u64)) -> String {
    runtime_core::sleep(Duration::from_millis(ms)).await;
    format!("hello, {name}")
}

fn main() -> std::io::Result<()> {
    // First of all: in the pool's processes this does not return.
    process_pool::init(|functions| {
        functions.add(fib).add_async(greet);
    });
    let config = LaunchConfig::default();
    let numbers = [
        runtime_n1::N1::run(&config, |_| work())??,
        runtime_mn::Mn::run(&config, |_| work())??,
        runtime_threads::Threads::run(&config, |_| work())??,
    ];
    assert_eq!(numbers, [832_040; 3]);
    Ok(())
}

async fn work() -> std::io::Result<u64> {
    let pool = ProcessPool::builder().processes(2).build()?;
    let greetings: Vec<_> = (0..100)
        .map(|number| pool.call_async(greet, (format!("number {number}"), 5)))
        .collect();
    let fib_30 = pool.call(fib, 30);
    for (number, greeting) in greetings.into_iter().enumerate() {
        let greeting = greeting.await.map_err(std::io::Error::other)?;
        assert_eq!(greeting, format!("hello, number {number}"));
    }
    match fib_30.await {
        Ok(number) => println!("fib(30) is {number}, says one of {:?}", pool.ids()),
        Err(CallError::ProcessDied { process, .. }) => println!("somebody has killed {process}"),
        Err(error) => println!("{error}"),
    }
    pool.call(fib, 30).await.map_err(std::io::Error::other)
}
// ANCHOR_END: program
