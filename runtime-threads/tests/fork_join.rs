//! Fork-join with threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use std::future::Future;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use runtime_core::blocking::Executor;
use runtime_core::testing::fork_join::ForkJoinSubject;
use runtime_core::{ForkJoin, sleep, spawn_blocking};
use runtime_threads::{Runtime, ThreadsForkJoin};

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
            scope.spawn(|scope| {
                for _ in 0..10 {
                    scope.spawn(|_| {
                        ran.fetch_add(1, Ordering::Relaxed);
                    });
                }
            });
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
            scope.spawn(|_| panic!("of a job"));
            scope.spawn(|_| {
                ran.fetch_add(1, Ordering::Relaxed);
            });
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

struct OnThreads;

impl ForkJoinSubject for OnThreads {
    type ForkJoin = ThreadsForkJoin;

    fn start() -> Self {
        Self
    }

    fn fork_join(&self) -> ThreadsForkJoin {
        ThreadsForkJoin::new()
    }
}

runtime_core::fork_join_conformance!(OnThreads);

/// Each case again, with no thread for any branch.
mod refused {
    use super::*;

    struct WithoutThreads;

    impl ForkJoinSubject for WithoutThreads {
        type ForkJoin = ThreadsForkJoin;

        fn start() -> Self {
            Self
        }

        fn fork_join(&self) -> ThreadsForkJoin {
            // More than any address space has.
            ThreadsForkJoin::with_stack_bytes(1 << 40).unwrap()
        }
    }

    runtime_core::fork_join_conformance!(WithoutThreads);
}

/// The owner is dropped in a branch while the task that forked the branch waits for it.
#[test]
fn the_owner_dropped_in_a_branch_only_begins_the_end() {
    for of_job in [false, true] {
        let runtime = Runtime::new().unwrap();
        let handle = runtime.handle();
        let task = handle.spawn(async move {
            let fork_join = ThreadsForkJoin::new();
            if of_job {
                fork_join.scope(|scope| scope.spawn(|_| drop(runtime)));
            } else {
                // One level further down, too.
                fork_join.join(|| {}, || fork_join.join(|| {}, || drop(runtime)));
            }
            7
        });
        assert_eq!(futures_lite::future::block_on(task).unwrap(), 7);
        let late = futures_lite::future::block_on(handle.spawn(async {}));
        assert!(late.unwrap_err().is_cancelled());
    }
}

/// The same in a blocking job that a task waits for: by a branch of that job, and on the job's own thread.
#[test]
fn the_owner_dropped_in_a_blocking_job_only_begins_the_end() {
    for (by_executor, by_branch) in [(false, false), (false, true), (true, false), (true, true)] {
        let runtime = Runtime::new().unwrap();
        let handle = runtime.handle();
        let (sender, receiver) = mpsc::channel();
        let task = handle.spawn(async move {
            let end = move || {
                let drop_it = || drop(runtime);
                if by_branch {
                    ThreadsForkJoin::new().join(|| {}, drop_it);
                } else {
                    drop_it();
                }
                sender.send(7).unwrap();
            };
            let executor = Executor::new("ends-it", 1);
            let _job = if by_executor {
                executor.spawn(end)
            } else {
                spawn_blocking(end)
            };
            // This very thread waits: the task stays in its poll.
            receiver.recv().unwrap()
        });
        assert_eq!(futures_lite::future::block_on(task).unwrap(), 7);
    }
}

/// The same by a waker, which is called by the thread that waits for sockets or timers of non-worker threads.
#[test]
fn the_owner_dropped_by_a_waker_only_begins_the_end() {
    struct Ends(Mutex<Option<Runtime>>, mpsc::Sender<()>);
    impl Wake for Ends {
        fn wake(self: Arc<Self>) {
            let runtime = self.0.lock().unwrap().take();
            drop(runtime);
            let _ = self.1.send(());
        }
    }
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle();
    let (sender, receiver) = mpsc::channel();
    let task = handle.spawn({
        let handle = handle.clone();
        async move {
            let entered = thread::spawn(move || {
                let _entered = handle.enter();
                let mut sleep = Box::pin(sleep(Duration::from_millis(5)));
                let waker = Waker::from(Arc::new(Ends(Mutex::new(Some(runtime)), sender)));
                let polled = sleep.as_mut().poll(&mut Context::from_waker(&waker));
                (polled.is_ready(), sleep)
            });
            let (was_ready, _sleep) = entered.join().unwrap();
            assert!(!was_ready);
            // This very thread waits: the task stays in its poll.
            receiver.recv().unwrap();
            7
        }
    });
    assert_eq!(futures_lite::future::block_on(task).unwrap(), 7);
}
