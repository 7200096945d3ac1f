//! Blocking functions, on threads where they don't hold up tasks: your own executor, and the default.

use std::io;
use std::thread;
use std::time::Duration;

use runtime_core::blocking::{Executor, run_in_executor, set_default_executor};
use runtime_core::combine::gather;
use runtime_core::spawn_blocking;

// ANCHOR: program
/// Blocks, like a library that knows nothing about tasks. Returns the name of its thread.
fn query() -> String {
    thread::sleep(Duration::from_millis(10));
    thread::current().name().unwrap_or("no name").to_owned()
}

pub async fn run() -> io::Result<()> {
    // asyncio's `ThreadPoolExecutor(max_workers=1)` and `run_in_executor(executor, query)`.
    let database = Executor::new("database", 1);
    let queries = (0..5).map(|_| run_in_executor(&database, query));
    let threads = gather(queries).await.map_err(io::Error::other)?;
    println!("five queries, one at a time, on {}", threads.join(" "));

    // asyncio's `run_in_executor(None, query)`.
    let thread = spawn_blocking(query).await.map_err(io::Error::other)?;
    println!("by default on {thread}");

    set_default_executor(Executor::new("few", 2));
    let thread = spawn_blocking(query).await.map_err(io::Error::other)?;
    println!("by another default on {thread}");
    Ok(())
}
// ANCHOR_END: program
