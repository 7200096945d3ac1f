//! `join` and `scope`, for all threads.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use runtime_core::park::Parker;
use runtime_core::thread_stack::on_thread_stack;
use runtime_core::unwind::{AbortOnUnwind, Held, hand_on_both};
use runtime_core::{Scope, Sequential};

use super::job::StackJob;
use super::latch::Latch;
use super::scope;
use super::{ForkJoin, closures, fork_woke, wait_for};
use crate::current::is_away_from;
use crate::deque::retry;
use crate::parts::part::Has;
use crate::scheduler::{Local, Shared};

/// Fork-join on the workers of a scheduler.
pub(crate) struct Forker<H: Has<ForkJoin>> {
    pub(super) shared: Arc<Shared<H>>,
}

impl<H: Has<ForkJoin>> Clone for Forker<H> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.shared))
    }
}

impl<H: Has<ForkJoin>> Forker<H> {
    pub(crate) fn new(shared: Arc<Shared<H>>) -> Self {
        Self { shared }
    }

    /// Calls `body` on a worker: the calling thread if it is one. `body` gets `None`, on this thread, if no worker is
    /// left, or if the calling thread's worker blocks in place: it is not certain that another worker will come to
    /// help.
    ///
    /// It does not run on the stack of a green task, which may be suspended half-way or left for ever, while others
    /// wait for the closures that run on it.
    #[inline]
    fn on_worker<R: Send>(&self, body: impl FnOnce(Option<&Local<H>>) -> R + Send) -> R {
        on_thread_stack(|| self.on_this_worker(body))
    }

    fn on_this_worker<R: Send>(&self, body: impl FnOnce(Option<&Local<H>>) -> R + Send) -> R {
        if !self.shared.parts.part().is_on {
            return body(None);
        }
        if let Some(worker) = Local::current(&self.shared) {
            return body(Some(worker));
        }
        if self.shared.closed.load(Relaxed) || is_away_from(Arc::as_ptr(&self.shared).cast()) {
            return body(None);
        }
        let parker = Parker::new();
        let job = StackJob::new(
            || body(Local::current(&self.shared)),
            Latch::of_thread(parker.unparker()),
        );
        let borrowed = AbortOnUnwind::new("a worker runs a closure of another thread's");
        // SAFETY: called once, and the thread stays in this frame until the latch is set, or ends the process.
        let reference = unsafe { job.reference() };
        self.shared.parts.part().injector.push(reference);
        // Either an ending worker sees the closure, or we see that the runtime has closed; see `Closed`.
        if self.shared.closed.since_push() {
            run_injected(&self.shared);
        } else {
            self.shared.wake_one();
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

/// Runs the closures that non-worker threads have forked, on the calling thread, whichever it is.
fn run_injected<H: Has<ForkJoin>>(shared: &Shared<H>) {
    while let Some(job) = retry(|| shared.parts.part().injector.steal()) {
        job.execute();
    }
}

impl<H: Has<ForkJoin>> runtime_core::ForkJoin for Forker<H> {
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
fn join_on<H, A, B, RA, RB>(worker: &Local<H>, a: A, b: B) -> (RA, RB)
where
    H: Has<ForkJoin>,
    A: FnOnce() -> RA,
    B: FnOnce() -> RB + Send,
    RB: Send,
{
    let since = closures(worker).mark();
    let job = StackJob::new(b, Latch::of_worker(worker));
    let borrowed = AbortOnUnwind::new("another worker may run a forked closure");
    // SAFETY: called once, and the thread stays in this frame until the job is taken back or the latch is set, or ends
    // the process.
    closures(worker).push(unsafe { job.reference() });
    fork_woke(&worker.shared);
    let a = catch_unwind(AssertUnwindSafe(a));
    let taken = loop {
        match closures(worker).pop_since(since) {
            Some(top) if top.is_of(&job) => break false,
            // A closure of a scope that was opened further up on the stack.
            Some(other) => other.execute(),
            None => {
                wait_for(worker, &job.latch, since);
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
