//! Fork-join on the caller's own thread.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::fork_join::{ForkJoin, Scope, ScopeJob};
use crate::in_turn::InTurn;
use crate::unwind::{FirstPanic, Held};

/// Fork-join on the caller's own thread, in program order: the reference that parallel ones are compared with, and the
/// model's own fork-join under N:1.
///
/// A scope's job runs as it is spawned. What a job spawns into its own scope runs when that job has ended, so that a
/// chain of jobs needs no more stack than one.
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
        // Held: dropped by the other one's panic, its own must not end the process.
        let b = Held::new(b);
        let a = Held::new(a());
        let b = (b.release())();
        (a.release(), b)
    }

    fn scope<'env, F, R>(&'env self, body: F) -> R
    where
        F: FnOnce(&dyn Scope<'env>) -> R + Send,
        R: Send,
    {
        let jobs = Jobs::default();
        let result = catch_unwind(AssertUnwindSafe(|| body(&jobs)));
        jobs.panic.hand_on(result)
    }
}

#[derive(Default)]
struct Jobs<'env> {
    in_turn: InTurn<ScopeJob<'env>>,
    panic: FirstPanic,
}

impl<'env> Scope<'env> for Jobs<'env> {
    fn spawn(&self, job: ScopeJob<'env>) {
        self.in_turn.run(job, |job| {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| job(self))) {
                self.panic.keep(payload);
            }
        });
    }
}
