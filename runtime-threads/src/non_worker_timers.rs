//! Timers that are polled on threads which run no task of ours.
//!
//! A task's thread fires its own timers. A non-worker thread (one that has entered the runtime and polls a sleep under
//! an executor of its own) does not know of them: one helper thread of the process fires those, started at the first
//! need, as there is one for the non-worker threads' sockets.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use runtime_kernel::blocking::RunsFor;
use runtime_kernel::park::Parker;
use runtime_kernel::time::TimerShard;

const STACK_BYTES: usize = 64 * 1024;

/// The non-worker threads' shard.
///
/// # Panics
/// When the system gives no thread for it.
pub(crate) fn shard() -> Arc<TimerShard> {
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
        .stack_size(STACK_BYTES)
        .spawn(move || {
            // It calls wakers, for whoever's tasks.
            let _serves = RunsFor::everybody();
            loop {
                parker.park(fired.prepare_park());
                fired.finish_park();
                fired.fire(Instant::now());
            }
        })
        .expect("the system gives a thread for the timers of threads that run no task");
    shard
}
