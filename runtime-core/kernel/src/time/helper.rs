//! Timers that no thread of a runtime fires.
//!
//! There are two kinds. First, under 1:1 a task's thread fires its own timers, but a non-worker thread does not: it
//! has entered the runtime, and polls a sleep under its own executor. Second, a runtime that has ended fires no
//! timers, although a thread that entered it, or a task of another runtime, may still wait for one. A helper thread of
//! the process fires these timers. It starts when it is first needed, like the helper thread for the sockets of
//! non-worker threads.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::shard::TimerShard;
use crate::blocking::RunsFor;
use crate::park::Parker;

/// The helper thread's shard.
///
/// # Panics
/// If the system refuses to create its thread.
pub fn helper_shard() -> Arc<TimerShard> {
    static SHARD: OnceLock<Arc<TimerShard>> = OnceLock::new();
    Arc::clone(SHARD.get_or_init(start))
}

fn start() -> Arc<TimerShard> {
    let parker = Parker::new();
    let unparker = parker.unparker();
    let shard = TimerShard::new(Box::new(move || unparker.unpark()));
    let fired = Arc::clone(&shard);
    std::thread::Builder::new()
        .name("non-worker-timers".to_owned())
        .spawn(move || {
            // It calls wakers of tasks of any runtime, so it has a stack of the usual size.
            let _serves = RunsFor::every_runtime();
            loop {
                parker.park(fired.prepare_park());
                fired.finish_park();
                fired.fire(Instant::now());
            }
        })
        .expect("the system gives a thread for the timers of threads that run no task");
    shard
}
