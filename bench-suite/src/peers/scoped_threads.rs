//! Fork-join as plain threads do it: each fork is a scoped thread of the standard library, and the kernel schedules.
//!
//! When the system gives no more threads, the job runs on the caller's: fork-join may always run its parts one after the other.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;
use runtime_core::{ForkJoin, LaunchConfig, Scope};

use crate::workloads::LaunchForkJoin;

/// A thread for each fork. Launches itself.
#[derive(Clone, Copy, Debug)]
pub struct ScopedThreads;

impl LaunchForkJoin for ScopedThreads {
    type Pool = Self;

    fn run<T, F>(_config: &LaunchConfig, body: F) -> io::Result<T>
    where
        F: FnOnce(&Self) -> T + Send,
        T: Send,
    {
        Ok(body(&Self))
    }
}

impl ForkJoin for ScopedThreads {
    fn join<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA + Send,
        B: FnOnce() -> RB + Send,
        RA: Send,
        RB: Send,
    {
        // In a slot, because a thread that could not be started does not give its closure back.
        let b = Mutex::new(Some(b));
        let run_b = || {
            let b = b.lock().take();
            b.map(|b| b())
        };
        thread::scope(|scope| {
            let thread = thread::Builder::new().spawn_scoped(scope, run_b);
            let left = catch_unwind(AssertUnwindSafe(a));
            let right = match thread {
                Ok(thread) => thread.join(),
                Err(_) => catch_unwind(AssertUnwindSafe(run_b)),
            };
            match (left, right) {
                (Ok(left), Ok(Some(right))) => (left, right),
                (Err(payload), _) | (_, Err(payload)) => resume_unwind(payload),
                (Ok(_), Ok(None)) => unreachable!("one of the two ways runs `b`, once"),
            }
        })
    }

    fn scope<'env, F, R>(&'env self, body: F) -> R
    where
        F: FnOnce(&dyn Scope<'env>) -> R + Send,
        R: Send,
    {
        thread::scope(|scope| body(&ThreadScope(scope)))
    }
}

struct ThreadScope<'scope, 'env>(&'scope thread::Scope<'scope, 'env>);

impl<'scope, 'env> Scope<'env> for ThreadScope<'scope, 'env> {
    fn spawn(&self, job: Box<dyn FnOnce(&dyn Scope<'env>) + Send + 'env>) {
        let scope = self.0;
        let job = Arc::new(Mutex::new(Some(job)));
        let thread = {
            let job = Arc::clone(&job);
            thread::Builder::new().spawn_scoped(scope, move || run(&job, scope))
        };
        if thread.is_err() {
            run(&job, scope);
        }
    }
}

type Job<'env> = Box<dyn FnOnce(&dyn Scope<'env>) + Send + 'env>;

fn run<'scope, 'env>(
    job: &Mutex<Option<Job<'env>>>,
    scope: &'scope thread::Scope<'scope, 'env>,
) {
    let job = job.lock().take();
    if let Some(job) = job {
        job(&ThreadScope(scope));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_on_either_side_arrives_after_both_have_ended() {
        for (left, right) in [(true, false), (false, true)] {
            let ended = Mutex::new(0);
            let side = |panics: bool| {
                *ended.lock() += 1;
                assert!(!panics, "asked for");
            };
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                ScopedThreads.join(|| side(left), || side(right))
            }));
            assert!(outcome.is_err());
            assert_eq!(*ended.lock(), 2);
        }
    }

    #[test]
    fn jobs_of_a_scope_may_spawn_jobs_and_end_before_it() {
        let ran = Arc::new(Mutex::new(0));
        let (outer, inner) = (Arc::clone(&ran), Arc::clone(&ran));
        ScopedThreads.scope(move |scope| {
            scope.spawn(Box::new(move |scope| {
                *outer.lock() += 1;
                scope.spawn(Box::new(move |_| *inner.lock() += 1));
            }));
        });
        assert_eq!(*ran.lock(), 2);
    }
}
