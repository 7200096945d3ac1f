//! Fork-join with a thread for each forked branch.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use runtime_kernel::in_turn::InTurn;
use runtime_kernel::primitives::real_locks::Mutex;
use runtime_kernel::unwind::{FirstPanic, hand_on_both};
use runtime_kernel::{ForkJoin, Scope, ScopeJob};

use crate::builder::{DEFAULT_STACK_BYTES, check_stack_bytes};
use crate::overflow::Stack;
use crate::task_thread::TaskThread;
use crate::thread_budget::Permit;

/// Fork-join in which each forked branch gets its own thread: recursion under 1:1.
///
/// `join(a, b)` starts a thread for `b` and runs `a` here. If the system refuses a thread, the branch runs inline, on
/// the thread that forked it, so deep recursion always completes; [`refused`](ThreadsForkJoin::refused) reports
/// whether that has happened.
///
/// ```
/// use runtime_core::ForkJoin;
///
/// fn fib(pool: &impl ForkJoin, n: u32) -> u32 {
///     if n < 2 {
///         return n;
///     }
///     let (a, b) = pool.join(|| fib(pool, n - 1), || fib(pool, n - 2));
///     a + b
/// }
/// assert_eq!(fib(&runtime_threads::ThreadsForkJoin::new(), 8), 21);
/// ```
#[derive(Debug)]
pub struct ThreadsForkJoin {
    stack_bytes: usize,
    refused: AtomicBool,
}

impl Default for ThreadsForkJoin {
    fn default() -> Self {
        Self::new()
    }
}

impl ThreadsForkJoin {
    /// Creates a pool with stacks of the default size, 2 MiB.
    pub fn new() -> Self {
        Self {
            stack_bytes: DEFAULT_STACK_BYTES,
            refused: AtomicBool::new(false),
        }
    }

    /// Creates a pool with stacks of `bytes`, see [`Builder::stack_bytes`](crate::Builder::stack_bytes).
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a stack outside its bounds.
    pub fn with_stack_bytes(bytes: usize) -> io::Result<Self> {
        check_stack_bytes(bytes)?;
        Ok(Self {
            stack_bytes: bytes,
            ..Self::new()
        })
    }

    /// Returns true if a branch ran inline because the system refused a thread for it.
    pub fn refused(&self) -> bool {
        self.refused.load(Relaxed)
    }

    /// Runs `branch` on a thread of `scope`. Returns false if the system refused a thread; then `branch` was dropped
    /// without running.
    fn fork<'scope, F>(&self, scope: &'scope thread::Scope<'scope, '_>, branch: F) -> bool
    where
        F: FnOnce() + Send + 'scope,
    {
        let stack = Stack {
            whose: "thread",
            name: "of a fork-join's branch",
            bytes: self.stack_bytes,
            knob: "`ThreadsForkJoin::with_stack_bytes`",
        };
        let part = TaskThread::part_of_current();
        let spawned = Permit::take().and_then(|(permit, starting)| {
            thread::Builder::new()
                .stack_size(self.stack_bytes)
                .spawn_scoped(scope, move || {
                    drop(starting);
                    permit.keep_until_exit();
                    stack.watch(|| part.run(branch));
                })
        });
        if spawned.is_err() {
            self.refused.store(true, Relaxed);
        }
        spawned.is_ok()
    }
}

impl ForkJoin for ThreadsForkJoin {
    fn join<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA + Send,
        B: FnOnce() -> RB + Send,
        RA: Send,
        RB: Send,
    {
        // Outside the closure, so that it still exists if the thread is refused.
        let branch = Mutex::new(Some(b));
        let outcome = Mutex::new(None);
        let run_b = || {
            let b = branch.lock().take().expect("taken once");
            let result = catch_unwind(AssertUnwindSafe(b));
            *outcome.lock() = Some(result);
        };
        let a = thread::scope(|scope| {
            let forked = self.fork(scope, run_b);
            let a = catch_unwind(AssertUnwindSafe(a));
            if !forked {
                run_b();
            }
            a
        });
        let b = outcome.into_inner().expect("the branch has ended");
        hand_on_both(a, b)
    }

    fn scope<'env, F, R>(&'env self, body: F) -> R
    where
        F: FnOnce(&dyn Scope<'env>) -> R + Send,
        R: Send,
    {
        let panic = FirstPanic::default();
        let result = thread::scope(|threads| {
            let jobs = Jobs {
                pool: self,
                threads,
                panic: &panic,
                in_turn: InTurn::default(),
            };
            catch_unwind(AssertUnwindSafe(|| body(&jobs)))
        });
        panic.hand_on(result)
    }
}

/// Where the jobs of a scope are spawned, on one thread. `'local` is the lifetime of `scope`'s own frame.
struct Jobs<'scope, 'local: 'scope, 'env: 'local> {
    pool: &'env ThreadsForkJoin,
    threads: &'scope thread::Scope<'scope, 'local>,
    panic: &'local FirstPanic,
    /// Jobs that got no thread.
    in_turn: InTurn<ScopeJob<'env>>,
}

impl<'env> Jobs<'_, '_, 'env> {
    fn run(&self, job: ScopeJob<'env>) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| job.run(self))) {
            self.panic.keep(payload);
        }
    }
}

impl<'env> Scope<'env> for Jobs<'_, '_, 'env> {
    fn spawn_job(&self, job: ScopeJob<'env>) {
        // Shared with the closure, so that it still exists if the thread is refused.
        let job = Arc::new(Mutex::new(Some(job)));
        let taken = Arc::clone(&job);
        let there = Jobs {
            in_turn: InTurn::default(),
            ..*self
        };
        let forked = self.pool.fork(self.threads, move || {
            let job = taken.lock().take().expect("taken once");
            there.in_turn.run(job, |job| there.run(job));
        });
        if !forked {
            let job = job.lock().take().expect("no thread has taken it");
            self.in_turn.run(job, |job| self.run(job));
        }
    }
}
