//! Scopes: any number of closures that borrow from the frame that opened the scope.
#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use runtime_core::in_turn::InTurn;
use runtime_core::primitives::atomic::{
    AtomicUsize,
    Ordering::{AcqRel, Relaxed},
};
use runtime_core::scope::QueuedJob;
use runtime_core::unwind::{AbortOnUnwind, FirstPanic};
use runtime_core::{Scope, ScopeJob};

use super::job::{Head, JobRef};
use super::latch::Latch;
use super::{ForkJoin, closures, fork_woke, wait_for};
use crate::parts::part::Has;
use crate::scheduler::{Local, Shared};
use std::sync::Arc;

/// One open scope, on the stack of the worker that opened it.
struct Open<'env, H: Has<ForkJoin>> {
    /// The body, and the closures that have not ended.
    pending: AtomicUsize,
    latch: Latch,
    panic: FirstPanic,
    /// Closures that were spawned where there was no worker.
    in_turn: InTurn<JobRef>,
    shared: *const Arc<Shared<H>>,
    _env: PhantomData<fn(&'env ()) -> &'env ()>,
}

// SAFETY: the pointer is to an `Arc` that may be shared.
unsafe impl<H: Has<ForkJoin>> Sync for Open<'_, H> {}

/// The header of a scope's queued closure.
#[repr(C)]
struct Notes<'env, H: Has<ForkJoin>> {
    head: Head,
    scope: *const Open<'env, H>,
}

impl<H: Has<ForkJoin>> Clone for Notes<'_, H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H: Has<ForkJoin>> Copy for Notes<'_, H> {}

/// Opens a scope on a worker, and returns when all of its closures have ended.
pub(super) fn run<'env, H: Has<ForkJoin>, R>(
    worker: &Local<H>,
    body: impl FnOnce(&dyn Scope<'env>) -> R,
) -> R {
    let since = closures(worker).mark();
    let open = Open {
        pending: AtomicUsize::new(1),
        latch: Latch::of_worker(worker),
        panic: FirstPanic::default(),
        in_turn: InTurn::default(),
        shared: &raw const worker.shared,
        _env: PhantomData,
    };
    let result = catch_unwind(AssertUnwindSafe(|| body(&open)));
    let borrowed = AbortOnUnwind::new("the closures of a scope run");
    // SAFETY: `open` is alive: it is ours.
    unsafe { Open::ended(&raw const open) };
    wait_for(worker, &open.latch, since);
    borrowed.disarm();
    open.panic.hand_on(result)
}

impl<'env, H: Has<ForkJoin>> Scope<'env> for Open<'env, H> {
    fn spawn_job(&self, job: ScopeJob<'env>) {
        // Relaxed: the count cannot reach zero while the caller runs, because the caller is a part of the scope.
        self.pending.fetch_add(1, Relaxed);
        let notes = Notes {
            head: Head::new(execute::<H>),
            scope: self,
        };
        let queued = QueuedJob::new(job, notes);
        // SAFETY: the job is alive until it is executed, once; what the closure borrows outlives the scope.
        let reference = unsafe { JobRef::new(queued.cast()) };
        // SAFETY: the worker that opened this scope waits for it, so its reference is alive.
        let shared = unsafe { &*self.shared };
        match Local::current(shared) {
            Some(worker) => {
                closures(worker).push(reference);
                fork_woke(shared);
            }
            // The body or a closure runs on a thread without a worker: in `block_in_place`, or with no worker left. It
            // is not certain that a worker will come.
            None => self.in_turn.run(reference, JobRef::execute),
        }
    }
}

impl<H: Has<ForkJoin>> Open<'_, H> {
    /// Call this when the body or a closure has ended.
    ///
    /// # Safety
    /// The scope is alive. It may be gone afterwards.
    unsafe fn ended(this: *const Self) {
        // SAFETY: alive, by this function's contract.
        let open = unsafe { &*this };
        // AcqRel: the last one publishes what all have written.
        if open.pending.fetch_sub(1, AcqRel) == 1 {
            // SAFETY: alive: the opener waits for this latch.
            unsafe { Latch::set(&raw const open.latch) };
        }
    }
}

/// SAFETY: `head` is from `spawn_job`, and this is called once.
unsafe fn execute<H: Has<ForkJoin>>(head: NonNull<Head>) {
    // SAFETY: `spawn_job` queued it with these types; nothing in it has outlived its lifetime, because the scope waits.
    let (job, Notes { scope, .. }) =
        unsafe { QueuedJob::take(head.cast::<QueuedJob<'_, Notes<'_, H>>>()) };
    // SAFETY: the scope waits for this closure.
    let open = unsafe { &*scope };
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| job.run(open))) {
        open.panic.keep(payload);
    }
    // SAFETY: as above.
    unsafe { Open::ended(scope) };
}
