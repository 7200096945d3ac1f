//! Fork-join on the calling thread.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::fork_join::ForkJoin;
use crate::in_turn::InTurn;
use crate::scope::{Scope, ScopeJob};
use crate::unwind::{FirstPanic, Held};

/// Fork-join on the calling thread, in program order: the reference for the parallel implementations, and N:1's own
/// fork-join.
///
/// A scope's job runs as it is spawned. Jobs that it spawns into its own scope run after it has ended, so a chain of
/// jobs needs no more stack than one job.
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
        // `Held`: if a panic of the other one drops it, a panic of its own destructor must not end the process.
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
    fn spawn_job(&self, job: ScopeJob<'env>) {
        self.in_turn.run(job, |job| {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| job.run(self))) {
                self.panic.keep(payload);
            }
        });
    }
}
