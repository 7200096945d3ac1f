//! Threads that the system refuses for a while become available again. This is a separate process, because it lowers
//! the process's limit.
#![cfg(target_os = "linux")]

use std::fs;

use runtime_core::sync::channel;
use runtime_core::{ForkJoin, JoinError};
use runtime_threads::{Runtime, ThreadsForkJoin};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The stack of each task's thread, in bytes: so large that the address space has room for only a few, fewer than a
/// runtime leaves unjoined at a time.
const STACK_BYTES: usize = 64 << 20;

/// The bytes that the process has mapped.
fn address_space() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let kibibytes = line.unwrap().trim().trim_end_matches(" kB");
    kibibytes.parse::<u64>().unwrap() * 1024
}

/// Starts tasks that wait until one gets no thread, then lets them end. Returns how many there were.
fn fill_up(runtime: &Runtime) -> usize {
    let handle = runtime.handle();
    runtime.block_on(async move {
        let (open, gate) = channel::<()>(1);
        let gate = std::sync::Arc::new(gate);
        let mut tasks = Vec::new();
        loop {
            let gate = std::sync::Arc::clone(&gate);
            let mut task = handle.spawn(async move {
                gate.recv().await;
            });
            // A refusal is reported at once.
            let refused = futures_lite::future::poll_once(&mut task).await;
            if let Some(outcome) = refused {
                assert!(
                    matches!(outcome, Err(JoinError::SpawnFailed(_))),
                    "{outcome:?}"
                );
                break;
            }
            tasks.push(task);
            assert!(tasks.len() < 1000, "the limit is none");
        }
        drop(open);
        let count = tasks.len();
        for task in tasks {
            task.await.expect("it had a thread");
        }
        count
    })
}

#[test]
fn spawning_recovers_when_threads_have_ended() {
    let runtime = Runtime::builder().stack_bytes(STACK_BYTES).build().unwrap();
    // Everything that is created only once is created before the limit.
    runtime.block_on(async {});
    let before = getrlimit(Resource::As);
    let limit = Rlimit {
        current: Some(address_space() + 20 * STACK_BYTES as u64),
        maximum: before.maximum,
    };
    setrlimit(Resource::As, limit).unwrap();
    let rounds: Vec<_> = (0..20).map(|_| fill_up(&runtime)).collect();
    let handle = runtime.handle();
    // One after the other, more than fit at the same time.
    runtime.block_on(async move {
        for _ in 0..100 {
            handle.spawn(async {}).await.expect("there is room");
        }
    });
    let fork_join = ThreadsForkJoin::with_stack_bytes(STACK_BYTES).unwrap();
    assert_eq!(fork_join.join(|| 1, || 2), (1, 2));
    setrlimit(Resource::As, before).unwrap();
    println!("tasks in each round: {rounds:?}");
    // The number varies: the allocator takes address space for threads, too.
    assert!(
        rounds.iter().all(|round| *round > 2),
        "spawning has not recovered: {rounds:?}"
    );
}
