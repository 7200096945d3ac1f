//! A refused spawn does not wait for any destructor. This is a separate process, because it lowers the process's
//! limit.
#![cfg(target_os = "linux")]

use std::cell::RefCell;
use std::fs;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use futures_lite::future::{block_on, pending, poll_once};
use runtime_core::JoinError;
use runtime_threads::Runtime;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The stack of each task's thread, in bytes.
const STACK_BYTES: usize = 64 << 20;
/// Only a bug can make something here wait this long.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Takes the lock when its thread ends.
struct Locks {
    lock: Arc<Mutex<()>>,
    begins: mpsc::Sender<()>,
}

impl Drop for Locks {
    fn drop(&mut self) {
        self.begins.send(()).unwrap();
        drop(self.lock.lock().unwrap());
    }
}

thread_local! {
    static LOCKS: RefCell<Option<Locks>> = const { RefCell::new(None) };
}

/// A runtime, one of whose tasks has ended; the task's thread waits for `lock` in the destructor of a thread-local.
fn with_a_thread_that_ends(lock: &Arc<Mutex<()>>) -> Runtime {
    let runtime = Runtime::builder().stack_bytes(STACK_BYTES).build().unwrap();
    let (begins, begun) = mpsc::channel();
    let lock = Arc::clone(lock);
    block_on(runtime.handle().spawn(async move {
        LOCKS.set(Some(Locks { lock, begins }));
    }))
    .unwrap();
    begun.recv().unwrap();
    runtime
}

/// The bytes that the process has mapped.
fn address_space() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let kibibytes = line.unwrap().trim().trim_end_matches(" kB");
    kibibytes.parse::<u64>().unwrap() * 1024
}

/// Spawns tasks that wait until one is refused.
fn spawn_until_refused(runtime: &Runtime) {
    let before = getrlimit(Resource::As);
    let limit = Rlimit {
        current: Some(address_space() + 4 * STACK_BYTES as u64),
        maximum: before.maximum,
    };
    setrlimit(Resource::As, limit).unwrap();
    let handle = runtime.handle();
    let refused = (0..100).find_map(|_| {
        let mut task = handle.spawn(pending::<()>());
        block_on(poll_once(&mut task))
    });
    setrlimit(Resource::As, before).unwrap();
    assert!(
        matches!(refused, Some(Err(JoinError::SpawnFailed(_)))),
        "{refused:?}"
    );
}

#[test]
fn neither_a_refused_spawn_nor_a_shutdown_waits_for_a_destructor() {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        let lock = Arc::new(Mutex::new(()));
        let held = lock.lock().unwrap();
        let runtime = with_a_thread_that_ends(&lock);
        spawn_until_refused(&runtime);
        done.send("the refused spawn").unwrap();
        assert!(runtime.shutdown(Duration::from_millis(20)).is_empty());
        done.send("the shutdown").unwrap();
        drop(held);
    });
    for step in ["the refused spawn", "the shutdown"] {
        assert_eq!(is_done.recv_timeout(TIME_LIMIT), Ok(step), "{step} waits");
    }
}
