//! Simulated time may pass in a spawn that gets no thread. The wakers that are called then may enter a runtime. This is
//! a separate process, because it lowers the process's limit.
#![cfg(target_os = "linux")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Wake, Waker};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use runtime_core::time::{Clock, sleep};
use runtime_core::{JoinError, spawn, spawn_named};
use runtime_threads::{Handle, Runtime};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The stack of each task's thread, in bytes: more than the limit leaves.
const STACK_BYTES: usize = 1 << 30;
/// Only a bug makes something here take this long.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// The bytes that the process has mapped.
fn address_space() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let kibibytes = line.unwrap().trim().trim_end_matches(" kB");
    kibibytes.parse::<u64>().unwrap() * 1024
}

/// A waker that enters a runtime.
struct Enters {
    runtime: Handle,
    spawner: ThreadId,
    /// How often it was called by the thread that spawns.
    in_spawn: AtomicUsize,
    refused: AtomicBool,
}

impl Wake for Enters {
    fn wake(self: Arc<Self>) {
        let entered = catch_unwind(AssertUnwindSafe(|| drop(self.runtime.enter())));
        if entered.is_err() {
            self.refused.store(true, SeqCst);
        }
        if thread::current().id() == self.spawner {
            self.in_spawn.fetch_add(1, SeqCst);
        }
    }
}

#[test]
fn a_waker_that_is_called_in_a_refused_spawn_may_enter_a_runtime() {
    let other = Runtime::new().unwrap();
    let builder = Runtime::builder().clock(Clock::simulated());
    let runtime = builder.stack_bytes(STACK_BYTES).build().unwrap();
    let waker = Arc::new(Enters {
        runtime: other.handle(),
        spawner: thread::current().id(),
        in_spawn: AtomicUsize::new(0),
        refused: AtomicBool::new(false),
    });
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let _entered = runtime.handle().enter();
            let foreign = Waker::from(Arc::clone(&waker));
            // While a task starts no time passes, so that the spawner finds some of these timers.
            while !ended.load(SeqCst) {
                let mut sleep = pin!(sleep(Duration::from_secs(1)));
                let polled = sleep.as_mut().poll(&mut Context::from_waker(&foreign));
                if polled.is_pending() {
                    thread::yield_now();
                }
            }
        });
        let before = getrlimit(Resource::As);
        let limit = Rlimit {
            current: Some(address_space() + STACK_BYTES as u64 / 2),
            maximum: before.maximum,
        };
        setrlimit(Resource::As, limit).unwrap();
        let _entered = runtime.handle().enter();
        let start = Instant::now();
        while waker.in_spawn.load(SeqCst) < 20 && start.elapsed() < TIME_LIMIT {
            for task in [spawn(async {}), spawn_named("refused", async {})] {
                let outcome = futures_lite::future::block_on(task);
                assert!(matches!(outcome, Err(JoinError::SpawnFailed(_))));
            }
        }
        ended.store(true, SeqCst);
        setrlimit(Resource::As, before).unwrap();
    });
    assert!(waker.in_spawn.load(SeqCst) >= 20, "no timer was due there");
    assert!(
        !waker.refused.load(SeqCst),
        "a waker could not enter a runtime"
    );
}
