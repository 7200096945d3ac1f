//! Fork-join on the caller's own thread.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::runtime::{ForkJoin, Scope, ScopeJob};
use crate::unwind::{Held, Payload, drop_contained};

/// Fork-join on the caller's own thread, in program order: the reference that parallel ones are compared with, and the
/// model's own fork-join under N:1.
///
/// A scope's job runs as it is spawned. What a job spawns into its own scope runs when that job has ended, so that a chain of jobs needs no
/// more stack than one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sequential;

impl ForkJoin for Sequential {
    fn join<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA + Send,
        B: FnOnce() -> RB + Send,
        RA: Send,
        RB: Send,
    {
        let a = Held::new(a());
        let b = b();
        (a.release(), b)
    }

    fn scope<'env, F, R>(&'env self, body: F) -> R
    where
        F: FnOnce(&dyn Scope<'env>) -> R + Send,
        R: Send,
    {
        let jobs = Jobs::default();
        let result = catch_unwind(AssertUnwindSafe(|| body(&jobs)));
        match (result, jobs.panic.into_inner()) {
            (Ok(result), None) => result,
            (Ok(result), Some(payload)) => {
                drop_contained(result);
                resume_unwind(payload)
            }
            (Err(payload), of_job) => {
                drop_contained(of_job);
                resume_unwind(payload)
            }
        }
    }
}

#[derive(Default)]
struct Jobs<'env> {
    waiting: RefCell<VecDeque<ScopeJob<'env>>>,
    /// One of them runs.
    running: Cell<bool>,
    /// The first panic.
    panic: RefCell<Option<Payload>>,
}

impl<'env> Scope<'env> for Jobs<'env> {
    fn spawn(&self, job: ScopeJob<'env>) {
        self.waiting.borrow_mut().push_back(job);
        if self.running.replace(true) {
            return;
        }
        while let Some(job) = self.next() {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| job(self))) {
                self.panicked(payload);
            }
        }
        self.running.set(false);
    }
}

impl<'env> Jobs<'env> {
    fn next(&self) -> Option<ScopeJob<'env>> {
        self.waiting.borrow_mut().pop_front()
    }

    fn panicked(&self, payload: Payload) {
        if self.panic.borrow().is_some() {
            drop_contained(payload);
        } else {
            self.panic.replace(Some(payload));
        }
    }
}
