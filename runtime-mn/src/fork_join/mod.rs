#![doc = include_str!("README.md")]
#![allow(unsafe_code)]

mod job;
mod latch;
mod scope;
mod stack;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use runtime_core::park::Parker;
use runtime_core::primitives::spin_loop;
use runtime_core::unwind::{AbortOnUnwind, Held, hand_on_both};
use runtime_core::{ForkJoin, Scope, Sequential};

use crate::deque::Steal;
use crate::local::Local;
use crate::remote::add;
use crate::shared::Shared;

pub(crate) use job::JobRef;
use job::StackJob;
use latch::Latch;
pub(crate) use stack::{Closures, Mark};

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

    /// Calls `body` on a worker: the calling thread if it is one. It gets `None`, on this thread, with no worker
    /// left, or where the calling thread's worker blocks in place, whose task no other worker need come by to help.
    fn on_worker<R: Send>(&self, body: impl FnOnce(Option<&Local>) -> R + Send) -> R {
        if let Some(worker) = Local::current(&self.shared) {
            return body(Some(worker));
        }
        if self.shared.closed.load(Relaxed) || Local::is_away(&self.shared) {
            return body(None);
        }
        let parker = Parker::new();
        let job = StackJob::new(
            || body(Local::current(&self.shared)),
            Latch::of_thread(parker.unparker()),
        );
        let borrowed = AbortOnUnwind::new("a worker runs a closure of another thread's");
        // SAFETY: once, and the thread stays in this frame until the latch is set, or ends the process.
        let reference = unsafe { job.reference() };
        self.shared.job_injector.push(reference);
        // Either an ending worker sees the closure, or we see that the runtime has closed; see `Closed`.
        if self.shared.closed.since_push() {
            self.shared.run_injected_jobs();
        } else {
            self.shared.notify_one();
        }
        while !job.latch.is_set() {
            parker.park(None);
        }
        borrowed.disarm();
        match job.into_outcome() {
            Ok(result) => result,
            Err(payload) => resume_unwind(payload),
        }
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

    /// A closure was forked. Without a fence: if a worker that is just going to sleep is missed, the forker runs the
    /// closure itself, and the next fork tells.
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
            None => Sequential.join(a, b),
        })
    }

    fn scope<'env, F, R>(&'env self, body: F) -> R
    where
        F: FnOnce(&dyn Scope<'env>) -> R + Send,
        R: Send,
    {
        self.on_worker(|worker| match worker {
            Some(worker) => scope::run(worker, body),
            None => Sequential.scope(body),
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
    let since = worker.closures.mark();
    let job = StackJob::new(b, Latch::of_worker(worker));
    let borrowed = AbortOnUnwind::new("another worker may run a forked closure");
    // SAFETY: once, and the thread stays in this frame until it is taken back or the latch is set, or ends the
    // process.
    worker.closures.push(unsafe { job.reference() });
    worker.shared.tell_of_job();
    let a = catch_unwind(AssertUnwindSafe(a));
    let taken = loop {
        match worker.closures.pop_since(since) {
            Some(top) if top.is_of(&job) => break false,
            // A closure of a scope that was opened further up.
            Some(other) => other.execute(),
            None => {
                worker.wait_for(&job.latch, since);
                break true;
            }
        }
    };
    borrowed.disarm();
    match (a, taken) {
        (Ok(a), false) => {
            let a = Held::new(a);
            let b = job.call();
            (a.release(), b)
        }
        (Err(payload), false) => {
            job.give_up();
            resume_unwind(payload)
        }
        (a, true) => hand_on_both(a, job.into_outcome()),
    }
}

/// How often a waiting worker looks for closures before it sleeps.
const SPINS: u32 = if cfg!(lab_shuttle) { 2 } else { 64 };

/// How long a waiting worker sleeps before it looks again for what others have forked meanwhile. Nobody tells it.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

impl Local {
    /// Runs other closures until the latch is set: those that were pushed `since` the wait's own, and those of other
    /// workers.
    fn wait_for(&self, latch: &Latch, since: Mark) {
        let mut idle_spins = 0;
        while !latch.is_set() {
            if let Some(job) = self.closures.pop_since(since) {
                idle_spins = 0;
                add(&self.remote().counters.closures, 1);
                job.execute();
            } else if let Some(job) = self.steal_to_help() {
                idle_spins = 0;
                self.closures.nest(|| self.run_stolen(job));
            } else if idle_spins < SPINS {
                idle_spins += 1;
                spin_loop();
            } else {
                let until = self.looks_again().then(|| Instant::now() + LOOK_AGAIN);
                latch.sleep(|| {
                    self.parker.park(until);
                });
            }
        }
    }

    /// Whether a worker that sleeps in a wait looks for others' closures from time to time.
    fn looks_again(&self) -> bool {
        // A model checker has no time.
        self.closures.may_nest() && !cfg!(lab_shuttle)
    }

    fn steal_to_help(&self) -> Option<JobRef> {
        self.closures
            .may_nest()
            .then(|| self.steal_closure())
            .flatten()
    }

    /// Runs a closure of another thread's, and what it leaves in this worker's own deque: whoever waits for that may
    /// be asleep.
    pub(crate) fn run_stolen(&self, job: JobRef) {
        let since = self.closures.mark();
        let mut next = Some(job);
        while let Some(job) = next {
            add(&self.remote().counters.closures, 1);
            job.execute();
            next = self.closures.pop_since(since);
        }
    }
}
