//! Fork-join over closures: the trait for CPU-bound recursion, which needs no futures.

use crate::scope::Scope;

/// Fork-join over closures, for CPU-bound recursion without futures.
pub trait ForkJoin: Sync {
    /// Runs both closures, possibly at the same time, and returns when both have ended.
    ///
    /// # Panics
    /// If a closure panics, after both have ended.
    fn join<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA + Send,
        B: FnOnce() -> RB + Send,
        RA: Send,
        RB: Send;

    /// Runs `body`, which may spawn jobs that borrow from the caller. Returns when all of them have ended.
    ///
    /// # Panics
    /// If `body` or a job panics, after all have ended.
    fn scope<'env, F, R>(&'env self, body: F) -> R
    where
        F: FnOnce(&dyn Scope<'env>) -> R + Send,
        R: Send;
}
