//! Fork-join with threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use runtime_core::ForkJoin;
use runtime_threads::ThreadsForkJoin;

fn sum(pool: &ThreadsForkJoin, from: u64, to: u64) -> u64 {
    if to - from == 1 {
        return from;
    }
    let middle = from.midpoint(to);
    let (a, b) = pool.join(|| sum(pool, from, middle), || sum(pool, middle, to));
    a + b
}

#[test]
fn a_deep_tree_of_joins_gives_the_sum() {
    let pool = ThreadsForkJoin::new();
    assert_eq!(sum(&pool, 0, 2000), 1999 * 1000);
}

#[test]
fn both_branches_end_before_a_panic_goes_on() {
    let pool = ThreadsForkJoin::new();
    for first in [true, false] {
        let ended = AtomicUsize::new(0);
        let branch = |panics: bool| {
            assert!(!panics, "of a branch");
            ended.fetch_add(1, Ordering::Relaxed);
        };
        let join = AssertUnwindSafe(|| pool.join(|| branch(first), || branch(!first)));
        let payload = catch_unwind(join).unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"of a branch"));
        assert_eq!(ended.load(Ordering::Relaxed), 1);
    }
}

#[test]
fn a_scope_waits_for_jobs_of_jobs() {
    let pool = ThreadsForkJoin::with_stack_bytes(64 * 1024).unwrap();
    let ran = AtomicUsize::new(0);
    let answer = pool.scope(|scope| {
        for _ in 0..10 {
            scope.spawn(Box::new(|scope| {
                for _ in 0..10 {
                    scope.spawn(Box::new(|_| {
                        ran.fetch_add(1, Ordering::Relaxed);
                    }));
                }
            }));
        }
        7
    });
    assert_eq!(answer, 7);
    assert_eq!(ran.load(Ordering::Relaxed), 100);
}

#[test]
fn a_scope_hands_on_the_panic_of_a_job() {
    let pool = ThreadsForkJoin::new();
    let ran = AtomicUsize::new(0);
    let scope = AssertUnwindSafe(|| {
        pool.scope(|scope| {
            scope.spawn(Box::new(|_| panic!("of a job")));
            scope.spawn(Box::new(|_| {
                ran.fetch_add(1, Ordering::Relaxed);
            }));
        });
    });
    let payload = catch_unwind(scope).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"of a job"));
    assert_eq!(ran.load(Ordering::Relaxed), 1);
}

#[test]
fn stacks_are_checked() {
    assert!(ThreadsForkJoin::with_stack_bytes(1).is_err());
}
