//! Child processes of this program, each with an N:1 loop, and typed calls to them, as in asyncio's
//! `ProcessPoolExecutor`.
//!
//! `runtime_core` provides the pool, and N:1 only provides the loop.

use std::io;

use runtime_library::process_pool::{self, EventLoop, LocalFuture};

pub use runtime_library::process_pool::{Builder, Call, CallError, Functions, ProcessPool};

use crate::{Loop, spawn_local};

/// Call this first of all in `main`, in every program that creates a [`ProcessPool`]. It adds the functions that the
/// pool's processes may run. In a process that a pool has started, it runs them and never returns.
///
/// Code before this call in `main` runs in each of those processes, too. The call must add the same functions in all
/// of them.
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
