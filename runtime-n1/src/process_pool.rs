//! Child processes of this program, each with an N:1 loop, and typed calls to them: asyncio's `ProcessPoolExecutor`.
//!
//! The pool is `runtime_core`'s; what is N:1's is the loop.

use std::io;

use runtime_library::process_pool::{self, EventLoop, LocalFuture};

pub use runtime_library::process_pool::{Builder, Call, CallError, Functions, ProcessPool};

use crate::{Loop, spawn_local};

/// To be called first of all in `main`, by every program that makes a [`ProcessPool`]: adds the
/// functions that its processes may run. In a process that a pool has started it runs them and never returns.
///
/// What stands before it in `main` happens in each of those processes too. It must add the same functions in all of
/// them.
///
/// # Panics
/// If it is called twice.
///
/// ```no_run
/// use runtime_n1::process_pool::{self, ProcessPool};
///
/// fn fib(n: u64) -> u64 {
///     if n < 2 { n } else { fib(n - 1) + fib(n - 2) }
/// }
///
/// async fn nap((seconds, name): (u64, String)) -> String {
///     runtime_core::sleep(std::time::Duration::from_secs(seconds)).await;
///     format!("{name} slept")
/// }
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     process_pool::init(|functions| {
///         functions.add(fib).add_async(nap);
///     });
///     let pool = ProcessPool::new()?;
///     let numbers: Vec<_> = (30..35).map(|n| pool.call(fib, n)).collect();
///     let slept = pool.call_async(nap, (1, "one".to_owned()));
///     runtime_n1::Loop::new()?.block_on(async move {
///         for number in numbers {
///             println!("{}", number.await?);
///         }
///         println!("{}", slept.await?);
///         Ok(())
///     })
/// }
/// ```
pub fn init(add: impl FnOnce(&mut Functions)) {
    let event_loop = EventLoop {
        run,
        spawn: |future| spawn_local(future),
    };
    process_pool::init_on(event_loop, add);
}

fn run(future: LocalFuture) -> io::Result<()> {
    Loop::new()?.block_on(future);
    Ok(())
}
