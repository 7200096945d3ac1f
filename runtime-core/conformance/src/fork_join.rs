//! Clause 14 for fork-join: no frame is left while a job borrows from it, whatever panics. Nested scopes overflow no
//! stack unless the program's own nesting does.

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use super::probe::text_of;
use runtime_kernel::unwind::Payload;
use runtime_library::runtime::{ForkJoin, Scope};

/// How long a case may take before it counts as hung.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// Generates the tests of a [`ForkJoin`] in the calling crate, one `#[test]` per case, in a module
/// `fork_join_conformance`.
#[macro_export]
macro_rules! fork_join_conformance {
    ($subject:ty) => {
        mod fork_join_conformance {
            #[allow(unused_imports)]
            use super::*;
            $crate::__fork_join_cases! { $subject =>
                c14_a_chain_of_jobs_needs_no_stack
                c14_a_panic_waits_for_all_that_borrow
                c14_a_second_panic_leaves_no_frame_behind
                c14_a_tree_of_scopes
                c14_branches_that_panic_both
                c14_destructors_of_results_that_nobody_gets
                c14_jobs_that_all_open_scopes
                c14_jobs_that_all_open_scopes_and_join
                c14_many_panics_at_once
                c14_payloads_that_panic_again_and_again
            }
        }
    };
}

/// One `#[test]` for each case.
#[macro_export]
#[doc(hidden)]
macro_rules! __fork_join_cases {
    ($subject:ty => $($case:ident)*) => {$(
        #[test]
        fn $case() {
            $crate::fork_join::check::<$subject>(
                stringify!($case),
                $crate::fork_join::$case,
            );
        }
    )*};
}

/// A fork-join under test: how to start it. The value owns what it runs on.
pub trait ForkJoinSubject: Sized + 'static {
    /// The fork-join.
    type ForkJoin: ForkJoin;

    /// Starts what it needs.
    fn start() -> Self;

    /// The fork-join, as users get it.
    fn fork_join(&self) -> Self::ForkJoin;
}

/// Runs one case for `S`, within a time limit.
///
/// # Panics
/// With the case's panic, or with the case's name if it hangs.
pub fn check<S: ForkJoinSubject>(name: &str, case: fn(&S::ForkJoin)) {
    super::watchdog::run(name, TIME_LIMIT, move || {
        let subject = S::start();
        case(&subject.fork_join());
    });
}

/// Panics when it is dropped, `self.0` times, each time with the next one.
struct Bomb(usize);

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.0 > 0 {
            panic_any(Bomb(self.0 - 1));
        }
    }
}

/// A value that is counted until it is dropped.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(alive: &'a AtomicUsize) -> Self {
        alive.fetch_add(1, SeqCst);
        Self(alive)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// Gives other threads a chance to run.
fn yield_to_other_threads() {
    for _ in 0..20 {
        std::thread::yield_now();
    }
}

/// The payload that `program` panics with, made harmless.
fn panic_of(program: impl FnOnce()) -> Payload {
    let Err(payload) = catch_unwind(AssertUnwindSafe(program)) else {
        panic!("the panic was not passed on");
    };
    match payload.downcast::<Bomb>() {
        Ok(mut bomb) => {
            bomb.0 = 0;
            bomb
        }
        Err(other) => other,
    }
}

/// 14: a scope waits for a job that borrows a local, even if two others panic, one of them with a payload that panics
/// when it is dropped.
pub fn c14_a_second_panic_leaves_no_frame_behind(fork_join: &impl ForkJoin) {
    for round in 0..50 {
        let ended = AtomicUsize::new(0);
        let payload = panic_of(|| {
            let local: [u64; 64] = [round; 64];
            let local = &local;
            fork_join.scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|_| {
                        yield_to_other_threads();
                        assert_eq!(*local, [round; 64], "the frame is gone");
                        ended.fetch_add(1, SeqCst);
                    });
                    scope.spawn(|_| panic_any(Bomb(1)));
                    scope.spawn(|_| panic!("of a job"));
                }
            });
        });
        assert_eq!(ended.load(SeqCst), 8, "jobs that had ended");
        assert!(payload.is::<Bomb>() || text_of(&*payload) == "of a job");
    }
}

/// 14: both branches of a join panic, with payloads that panic when they are dropped.
pub fn c14_branches_that_panic_both(fork_join: &impl ForkJoin) {
    for bombs in [0, 1, 3] {
        for _ in 0..50 {
            let alive = AtomicUsize::new(0);
            let payload = panic_of(|| {
                fork_join.join(
                    || {
                        let _counted = Counted::new(&alive);
                        yield_to_other_threads();
                        panic!("of a");
                    },
                    || {
                        let _counted = Counted::new(&alive);
                        panic_any(Bomb(bombs));
                    },
                );
            });
            assert_eq!(alive.load(SeqCst), 0, "branches that go on");
            assert_eq!(text_of(&*payload), "of a", "the first branch's goes on");
        }
    }
}

/// 14: if one branch panics, the other's result is not returned, and may panic when it is dropped; so may a closure
/// that is not called.
pub fn c14_destructors_of_results_that_nobody_gets(fork_join: &impl ForkJoin) {
    for _ in 0..50 {
        let payload = panic_of(|| {
            fork_join.join(|| Bomb(2), || -> () { panic!("of b") });
        });
        assert_eq!(text_of(&*payload), "of b");
        let captured = Bomb(2);
        let payload = panic_of(|| {
            fork_join.join(
                || -> () {
                    yield_to_other_threads();
                    panic!("of a")
                },
                move || captured,
            );
        });
        assert_eq!(text_of(&*payload), "of a");
        let payload = panic_of(|| {
            fork_join.scope(|scope| {
                scope.spawn(|_| panic!("of a job"));
                Bomb(2)
            });
        });
        assert_eq!(text_of(&*payload), "of a job");
    }
}

/// 14: a scope whose body or job panics waits for its jobs first.
pub fn c14_a_panic_waits_for_all_that_borrow(fork_join: &impl ForkJoin) {
    for of_body in [true, false] {
        for _ in 0..50 {
            let alive = AtomicUsize::new(0);
            let payload = panic_of(|| {
                fork_join.scope(|scope| {
                    for number in 0..8 {
                        let alive = &alive;
                        let counted = Counted::new(alive);
                        scope.spawn(move |scope| {
                            scope.spawn(move |_| {
                                yield_to_other_threads();
                                drop(counted);
                                assert!(of_body || number > 0, "of a job");
                            });
                        });
                    }
                    assert!(!of_body, "of the body");
                });
            });
            assert_eq!(alive.load(SeqCst), 0, "jobs that go on");
            let expected = if of_body { "of the body" } else { "of a job" };
            assert_eq!(text_of(&*payload), expected);
        }
    }
}

/// 14: payloads whose destructors panic with the next one of their kind.
pub fn c14_payloads_that_panic_again_and_again(fork_join: &impl ForkJoin) {
    for bombs in [2, 3, 100] {
        let payload = panic_of(|| {
            fork_join.scope(|scope| {
                for _ in 0..10 {
                    scope.spawn(move |_| panic_any(Bomb(bombs)));
                }
                panic!("of the body");
            });
        });
        assert_eq!(text_of(&*payload), "of the body");
    }
}

/// 14: many jobs panic at the same time, in scopes within scopes.
pub fn c14_many_panics_at_once(fork_join: &impl ForkJoin) {
    let ran = AtomicUsize::new(0);
    let payload = panic_of(|| {
        fork_join.scope(|scope| {
            for _ in 0..64 {
                scope.spawn(|_| {
                    let inner = panic_of(|| {
                        fork_join.scope(|scope| {
                            for _ in 0..8 {
                                scope.spawn(|_| {
                                    ran.fetch_add(1, SeqCst);
                                    panic_any(Bomb(1));
                                });
                            }
                        });
                    });
                    assert!(inner.is::<Bomb>());
                    resume_unwind(Box::new(Bomb(1)));
                });
            }
        });
    });
    assert!(payload.is::<Bomb>());
    assert_eq!(ran.load(SeqCst), 64 * 8);
}

/// 14: ten thousand jobs of a scope each open a scope of two empty jobs. Running each job on top of another would
/// overflow any stack.
pub fn c14_jobs_that_all_open_scopes(fork_join: &impl ForkJoin) {
    let ran = AtomicUsize::new(0);
    fork_join.scope(|scope| {
        for _ in 0..10_000 {
            scope.spawn(|_| {
                fork_join.scope(|inner| {
                    inner.spawn(|_| {});
                    inner.spawn(|_| {});
                });
                ran.fetch_add(1, SeqCst);
            });
        }
    });
    assert_eq!(ran.load(SeqCst), 10_000);
}

/// 14: the same with joins, and with jobs that are spawned into the outer scope in the middle of the inner one.
pub fn c14_jobs_that_all_open_scopes_and_join(fork_join: &impl ForkJoin) {
    let ran = AtomicUsize::new(0);
    let ran = &ran;
    fork_join.scope(|scope| {
        for _ in 0..5_000 {
            scope.spawn(move |scope: &dyn Scope<'_>| {
                let late = AtomicBool::new(false);
                fork_join.scope(|inner| {
                    inner.spawn(|_| {
                        fork_join.join(std::thread::yield_now, || late.store(true, SeqCst));
                    });
                });
                assert!(late.into_inner(), "the inner scope has ended");
                scope.spawn(move |_| {
                    fork_join.join(|| ran.fetch_add(1, SeqCst), || {});
                });
            });
        }
    });
    assert_eq!(ran.load(SeqCst), 5_000);
}

/// 14: each job spawns the next one.
pub fn c14_a_chain_of_jobs_needs_no_stack(fork_join: &impl ForkJoin) {
    fn link<'env>(scope: &dyn Scope<'env>, left: usize, ran: &'env AtomicUsize) {
        ran.fetch_add(1, SeqCst);
        if left > 1 {
            scope.spawn(move |scope| link(scope, left - 1, ran));
        }
    }
    let ran = AtomicUsize::new(0);
    fork_join.scope(|scope| link(scope, 20_000, &ran));
    assert_eq!(ran.load(SeqCst), 20_000);
}

/// 14: a tree with ten branches per node, in which each node is a job that opens a scope.
pub fn c14_a_tree_of_scopes(fork_join: &impl ForkJoin) {
    assert_eq!(leaves(fork_join, 1_000), 1_000);
}

/// The number of leaves of such a tree, counted one by one with scopes.
pub fn leaves(fork_join: &impl ForkJoin, below: usize) -> usize {
    if below < 10 {
        return 1;
    }
    let sum = AtomicUsize::new(0);
    fork_join.scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|_| {
                sum.fetch_add(leaves(fork_join, below / 10), SeqCst);
            });
        }
    });
    sum.into_inner()
}
