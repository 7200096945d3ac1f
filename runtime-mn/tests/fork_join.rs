//! Fork-join on workers: the conformance cases, and calls from different threads.

use std::sync::mpsc;
use std::thread;

use runtime_core::testing::fork_join::{ForkJoinSubject, leaves};
use runtime_core::{ForkJoin, Scope};
use runtime_mn::{MnForkJoin, Runtime, block_in_place};

/// On a number of workers, called from a non-worker thread.
struct Workers<const N: usize>(Runtime);

impl<const N: usize> ForkJoinSubject for Workers<N> {
    type ForkJoin = MnForkJoin;

    fn start() -> Self {
        Self(Runtime::builder().workers(N).build().expect("a runtime"))
    }

    fn fork_join(&self) -> MnForkJoin {
        self.0.handle().fork_join()
    }
}

mod one_worker {
    use super::*;
    runtime_core::fork_join_conformance!(Workers<1>);
}

mod two_workers {
    use super::*;
    runtime_core::fork_join_conformance!(Workers<2>);
}

mod four_workers {
    use super::*;
    runtime_core::fork_join_conformance!(Workers<4>);
}

fn runtime(workers: usize) -> Runtime {
    Runtime::builder().workers(workers).build().unwrap()
}

fn fibonacci(fork_join: &MnForkJoin, n: u32) -> u32 {
    if n < 2 {
        return n;
    }
    let (one, two) = fork_join.join(
        || fibonacci(fork_join, n - 1),
        || fibonacci(fork_join, n - 2),
    );
    one + two
}

#[test]
fn a_tree_of_nested_scopes_with_a_million_leaves() {
    for workers in [1, 2, 4] {
        let fork_join = runtime(workers).handle().fork_join();
        assert_eq!(leaves(&fork_join, 1_000_000), 1_000_000);
        let runtime = runtime(workers);
        let fork_join = runtime.handle().fork_join();
        assert_eq!(leaves(&fork_join, 1_000_000), 1_000_000);
    }
}

#[test]
fn fork_join_works_from_tasks_blocking_jobs_and_other_runtimes() {
    for workers in [1, 2] {
        let (runtime, other) = (runtime(workers), runtime(workers));
        let fork_join = runtime.handle().fork_join();
        let of = |fork_join: &MnForkJoin| {
            let fork_join = fork_join.clone();
            move || fibonacci(&fork_join, 12)
        };
        let task = runtime.spawn({
            let fibonacci = of(&fork_join);
            async move { fibonacci() }
        });
        assert_eq!(runtime.block_on(task).unwrap(), 144);
        let job = runtime.handle().spawn_blocking(of(&fork_join));
        assert_eq!(runtime.block_on(job).unwrap(), 144);
        let elsewhere = other.spawn({
            let fibonacci = of(&fork_join);
            async move { fibonacci() }
        });
        assert_eq!(other.block_on(elsewhere).unwrap(), 144);
    }
}

/// The worker is away, and there may be no other worker to help.
#[test]
fn fork_join_works_in_place() {
    for replacements in [0, 1] {
        let runtime = Runtime::builder()
            .workers(1)
            .max_replacement_workers(replacements)
            .build()
            .unwrap();
        let fork_join = runtime.handle().fork_join();
        let sum = runtime.block_on(async move {
            block_in_place(|| {
                let mut sum = 0;
                fork_join.scope(|scope: &dyn Scope<'_>| {
                    let sum = &mut sum;
                    let fork_join = &fork_join;
                    scope.spawn(move |_| *sum = fibonacci(fork_join, 12));
                });
                sum
            })
        });
        assert_eq!(sum, 144);
    }
}

/// A job of a scope blocks in place and spawns into the scope: with one worker, no other could take the spawned job.
#[test]
fn a_job_that_blocks_in_place_spawns_into_its_scope() {
    let runtime = Runtime::builder()
        .workers(1)
        .max_replacement_workers(0)
        .build()
        .unwrap();
    let (sender, receiver) = mpsc::channel();
    runtime
        .handle()
        .fork_join()
        .scope(move |scope: &dyn Scope<'_>| {
            scope.spawn(move |scope| {
                block_in_place(|| {
                    let sender = sender.clone();
                    scope.spawn(move |_| sender.send(1).unwrap());
                });
                sender.send(2).unwrap();
            });
        });
    let mut received: Vec<_> = receiver.iter().collect();
    received.sort_unstable();
    assert_eq!(received, [1, 2]);
}

#[test]
fn the_owner_dropped_in_a_branch_or_a_job_only_begins_the_end() {
    for workers in [1, 2, 4] {
        for round in 0..20 {
            let runtime = runtime(workers);
            let fork_join = runtime.handle().fork_join();
            let other = fork_join.clone();
            let handle = runtime.handle().clone();
            let task = handle.spawn(async move {
                match round % 3 {
                    0 => drop(fork_join.join(|| drop(runtime), thread::yield_now)),
                    1 => drop(fork_join.join(thread::yield_now, || drop(runtime))),
                    _ => fork_join.scope(|scope: &dyn Scope<'_>| {
                        scope.spawn(|_| drop(runtime));
                        thread::yield_now();
                    }),
                }
                // The runtime has ended, or is about to, and the answer still comes.
                fibonacci(&fork_join, 10)
            });
            assert_eq!(futures_lite::future::block_on(task).unwrap(), 55);
            assert_eq!(fibonacci(&other, 10), 55, "after the end");
        }
    }
}

#[test]
fn the_owner_dropped_while_scopes_are_open_waits_for_them() {
    for workers in [1, 2] {
        for _ in 0..20 {
            let runtime = runtime(workers);
            let fork_join = runtime.handle().fork_join();
            let scope = thread::spawn(move || leaves(&fork_join, 10_000));
            drop(runtime);
            assert_eq!(scope.join().unwrap(), 10_000);
        }
    }
}
