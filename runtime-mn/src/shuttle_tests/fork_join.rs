//! Closures that are forked on workers and on other threads, stolen, and waited for.

use runtime_core::{ForkJoin, Scope};

use super::*;
use crate::MnForkJoin;

fn fibonacci(fork_join: &MnForkJoin, n: u32) -> u32 {
    if n < 2 {
        return n;
    }
    // A scheduling point, so that thieves get their chance.
    thread::yield_now();
    let (one, two) = fork_join.join(
        || fibonacci(fork_join, n - 1),
        || fibonacci(fork_join, n - 2),
    );
    one + two
}

#[test]
fn closures_are_joined_on_workers_and_from_outside() {
    check_policies(|runtime| {
        let fork_join = runtime.handle().fork_join();
        let of_task = fork_join.clone();
        let task = runtime.spawn(async move { fibonacci(&of_task, 4) });
        assert_eq!(fibonacci(&fork_join, 4), 3);
        assert_eq!(runtime.block_on(task).unwrap(), 3);
    });
}

#[test]
fn a_scope_waits_for_all_that_was_spawned_in_it() {
    check_policies(|runtime| {
        let ran = AtomicUsize::new(0);
        let fork_join = runtime.handle().fork_join();
        fork_join.scope(|scope: &dyn Scope<'_>| {
            for _ in 0..2 {
                scope.spawn(|scope| {
                    scope.spawn(|_| {
                        ran.fetch_add(1, Relaxed);
                    });
                    ran.fetch_add(1, Relaxed);
                });
            }
        });
        assert_eq!(ran.into_inner(), 4);
    });
}

/// The thief is the only other worker, and the opener of the scope may be asleep when there is more to do.
#[test]
fn spawns_of_a_stolen_closure_are_run() {
    check(|| {
        let runtime = builder().workers(2).build().unwrap();
        let ran = AtomicUsize::new(0);
        runtime.handle().fork_join().scope(|scope: &dyn Scope<'_>| {
            scope.spawn(|scope| {
                thread::yield_now();
                scope.spawn(|_| {
                    ran.fetch_add(1, Relaxed);
                });
            });
            thread::yield_now();
        });
        assert_eq!(ran.into_inner(), 1);
    });
}

/// A thread that forks while the runtime ends gets its result, from a worker or by running the closures itself.
#[test]
fn a_join_from_outside_that_races_with_the_end_is_done() {
    check_policies(|runtime| {
        let fork_join = runtime.handle().fork_join();
        let other = thread::spawn(move || fork_join.join(|| 1, || 2));
        drop(runtime);
        assert_eq!(other.join().unwrap(), (1, 2));
    });
}
