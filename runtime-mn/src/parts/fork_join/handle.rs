//! Fork-join, as programs use it.

use std::fmt;

use runtime_core::{ForkJoin, Scope};

use super::forker::Forker;
use crate::handle::Handle;
use crate::parts::list::Installed;

/// Fork-join on an M:N runtime's workers. A call on any other thread blocks that thread until the workers are done.
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
pub struct MnForkJoin(Forker<Installed>);

impl Handle {
    /// Fork-join over closures, on this runtime's workers.
    pub fn fork_join(&self) -> MnForkJoin {
        MnForkJoin(Forker::new(self.core.shared.clone()))
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
        self.0.join(a, b)
    }

    fn scope<'env, F, R>(&'env self, body: F) -> R
    where
        F: FnOnce(&dyn Scope<'env>) -> R + Send,
        R: Send,
    {
        self.0.scope(body)
    }
}

impl fmt::Debug for MnForkJoin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MnForkJoin")
            .field("workers", &self.0.shared.workers)
            .finish()
    }
}
