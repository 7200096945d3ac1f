//! More tasks than the system has threads for. This is a separate process, because it reaches the process's limit.
#![cfg(target_os = "linux")]

use runtime_core::sync::channel;
use runtime_core::{ForkJoin, JoinError};
use runtime_threads::{Runtime, ThreadsForkJoin};

use std::sync::Arc;

/// More than `vm.max_map_count` allows by default, which is about 16,000 threads' worth of mappings.
const TASKS: usize = 40_000;

#[test]
fn refused_threads_are_reported_and_the_others_complete() {
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle();
    let (completed, refused) = runtime.block_on(async move {
        let (open, gate) = channel::<()>(1);
        let gate = Arc::new(gate);
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let gate = Arc::clone(&gate);
                handle.spawn(async move {
                    gate.recv().await;
                })
            })
            .collect();
        // At the limit fork-join runs branches inline.
        let fork_join = ThreadsForkJoin::new();
        assert_eq!(fork_join.join(|| 1, || 2), (1, 2));
        assert!(fork_join.refused(), "there was a thread left");
        drop(open);
        let (mut completed, mut refused) = (0, 0);
        for task in tasks {
            match task.await {
                Ok(()) => completed += 1,
                Err(JoinError::SpawnFailed(_)) => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
        // There is room again.
        handle.spawn(async {}).await.expect("a thread again");
        (completed, refused)
    });
    println!("{completed} completed, {refused} refused");
    assert_eq!(completed + refused, TASKS);
    assert!(
        refused > 0,
        "raise TASKS: this system gives {TASKS} threads"
    );
    assert!(completed > 100);
}
