//! Fork-join over closures: the seam for CPU-bound recursion, which needs no futures.

/// Fork-join over closures: the seam for CPU-bound recursion, without futures.
pub trait ForkJoin: Sync {
    /// Runs both closures, possibly at the same time, and returns when both have.
    ///
    /// # Panics
    /// With the panic of either closure, after both have ended.
    fn join<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA + Send,
        B: FnOnce() -> RB + Send,
        RA: Send,
        RB: Send;

    /// Runs `body`, which may spawn jobs that borrow from the caller; returns when all of them have ended.
    ///
    /// # Panics
    /// With the panic of `body` or of a job, after all have ended.
    fn scope<'env, F, R>(&'env self, body: F) -> R
    where
        F: FnOnce(&dyn Scope<'env>) -> R + Send,
        R: Send;
}

/// A job of a [`ForkJoin::scope`].
pub type ScopeJob<'env> = Box<dyn FnOnce(&dyn Scope<'env>) + Send + 'env>;

/// Where the jobs of a [`ForkJoin::scope`] are spawned.
pub trait Scope<'env> {
    /// Runs `job` at some time before the scope ends.
    fn spawn(&self, job: ScopeJob<'env>);
}
