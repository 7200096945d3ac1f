//! Fork-join over closures.
//!
//! `join(a, b)` leaves `b` on the worker's own deque of closures, as a pointer into the caller's stack, and runs `a`. If nobody has
//! taken `b` meanwhile, which is the common case, it is taken back and called like any function: no allocation, no wake-up. A
//! thief takes the oldest one, which stands for the largest part of the tree. Waiting for a stolen closure, a worker runs other
//! closures, never tasks: a task's poll could last, and would sit on top of the stack that the join has to return to. What a stolen
//! closure spawns into its scope stands in the thief's deque, and is the thief's to run if nobody else takes it: whoever opened the
//! scope may be asleep.
//!
//! Source: Cilk, by way of rayon's `join`.

mod job;
mod latch;
mod scope;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use runtime_core::park::Parker;
use runtime_core::primitives::spin_loop;
use runtime_core::{ForkJoin, Scope};

use crate::deque::Steal;
use crate::local::Local;
use crate::remote::add;
use crate::shared::Shared;

pub(crate) use job::JobRef;
use job::StackJob;
use latch::Latch;

/// Fork-join on an M:N runtime's workers. Called on any other thread, it blocks that thread until the workers are done.
///
/// ```
/// use runtime_core::ForkJoin;
///
/// fn fibonacci(fork_join: &runtime_mn::MnForkJoin, n: u32) -> u64 {
///     if n < 2 {
///         return u64::from(n);
///     }
///     let (one, two) = fork_join.join(
///         || fibonacci(fork_join, n - 1),
///         || fibonacci(fork_join, n - 2),
///     );
///     one + two
/// }
///
/// let runtime = runtime_mn::Runtime::new()?;
/// assert_eq!(fibonacci(&runtime.handle().fork_join(), 20), 6765);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct MnForkJoin {
    shared: Arc<Shared>,
}

impl MnForkJoin {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Calls `body` on a worker: the calling thread if it is one. With no worker left, it gets `None`, on this thread.
    fn on_worker<R: Send>(&self, body: impl FnOnce(Option<&Local>) -> R + Send) -> R {
        if let Some(worker) = Local::current(&self.shared) {
            return body(Some(worker));
        }
        let parker = Parker::new();
        let job = StackJob::new(
            || body(Local::current(&self.shared)),
            Latch::of_thread(parker.unparker()),
        );
        self.shared.job_injector.push(job.reference());
        // Either an ending worker sees the closure, or we see that the runtime has closed; see `Closed`.
        if self.shared.closed.since_push() {
            self.shared.run_injected_jobs();
        } else {
            self.shared.notify_one();
        }
        while !job.latch.is_set() {
            parker.park(None);
        }
        job.into_result()
    }
}

impl std::fmt::Debug for MnForkJoin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MnForkJoin")
            .field("workers", &self.shared.workers)
            .finish()
    }
}

impl Shared {
    /// Runs the closures that were forked outside, on the calling thread, whatever it is.
    pub(crate) fn run_injected_jobs(&self) {
        loop {
            match self.job_injector.steal() {
                Steal::Success(job) => job.execute(),
                Steal::Retry => {}
                Steal::Empty => break,
            }
        }
    }

    /// A closure was forked. Without a fence: if a worker that is just going to sleep is missed, the forker runs the closure
    /// itself, and the next fork tells.
    #[inline]
    fn tell_of_job(&self) {
        if self.steals && self.idle.sleeping() > 0 {
            self.tell();
        }
    }
}

impl ForkJoin for MnForkJoin {
    #[inline]
    fn join<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA + Send,
        B: FnOnce() -> RB + Send,
        RA: Send,
        RB: Send,
    {
        self.on_worker(|worker| match worker {
            Some(worker) => join_on(worker, a, b),
            None => (a(), b()),
        })
    }

    fn scope<'env, F, R>(&'env self, body: F) -> R
    where
        F: FnOnce(&dyn Scope<'env>) -> R + Send,
        R: Send,
    {
        self.on_worker(|worker| match worker {
            Some(worker) => scope::run(worker, body),
            None => scope::run_here(body),
        })
    }
}

#[inline]
fn join_on<A, B, RA, RB>(worker: &Local, a: A, b: B) -> (RA, RB)
where
    A: FnOnce() -> RA,
    B: FnOnce() -> RB + Send,
    RB: Send,
{
    let job = StackJob::new(b, Latch::of_worker(worker));
    let reference = job.reference();
    worker.jobs.push(reference);
    worker.shared.tell_of_job();
    let a = catch_unwind(AssertUnwindSafe(a));
    let b = loop {
        match worker.jobs.pop() {
            // Nobody has taken it. If `a` has panicked, `b` is dropped without having run.
            Some(top) if top.is(reference) => {
                break match a {
                    Ok(_) => job.call(),
                    Err(payload) => resume_unwind(payload),
                };
            }
            // A closure of a scope that was opened further up.
            Some(other) => other.execute(),
            None => {
                worker.wait_for(&job.latch);
                break match a {
                    Ok(_) => job.into_result(),
                    Err(payload) => resume_unwind(payload),
                };
            }
        }
    };
    match a {
        Ok(a) => (a, b),
        Err(_) => unreachable!("a panic of `a` was handed on above"),
    }
}

/// How often a waiting worker looks for closures before it sleeps.
const SPINS: u32 = if cfg!(lab_shuttle) { 2 } else { 64 };

impl Local {
    /// Runs other closures until the latch is set.
    fn wait_for(&self, latch: &Latch) {
        let mut idle_spins = 0;
        while !latch.is_set() {
            if let Some(job) = self.jobs.pop().or_else(|| self.steal_closure()) {
                idle_spins = 0;
                add(&self.remote().counters.closures, 1);
                job.execute();
            } else if idle_spins < SPINS {
                idle_spins += 1;
                spin_loop();
            } else {
                latch.sleep(|| {
                    self.parker.park(None);
                });
            }
        }
        // What a closure that was stolen meanwhile has left here: the one who waits for that may be asleep.
        while let Some(job) = self.jobs.pop() {
            add(&self.remote().counters.closures, 1);
            job.execute();
        }
    }
}
