//! This part's builder methods.

use crate::builder::Builder;

impl Builder {
    /// Sets how many low-priority threads run the tasks that were caught repeatedly. Default: as many as there are
    /// workers. With 0, such tasks stay among the others.
    #[must_use]
    pub fn cpu_pool_threads(mut self, threads: usize) -> Self {
        self.parts.cpu_pool.threads = Some(threads);
        self
    }

    /// Sets how nice the threads of the CPU-bound pool are, 0 to 19; default 6. At 6 they get about a quarter of what
    /// a worker gets while both want the same processor. At 0 they get as much, and the workers' latency suffers.
    #[must_use]
    pub fn cpu_pool_nice(mut self, nice: u8) -> Self {
        self.parts.cpu_pool.nice = i32::from(nice.min(19));
        self
    }

    /// The former name of [`cpu_pool_threads`](Builder::cpu_pool_threads).
    #[deprecated(note = "use `cpu_pool_threads`")]
    #[must_use]
    pub fn batch_threads(self, threads: usize) -> Self {
        self.cpu_pool_threads(threads)
    }

    /// The former name of [`cpu_pool_nice`](Builder::cpu_pool_nice).
    #[deprecated(note = "use `cpu_pool_nice`")]
    #[must_use]
    pub fn batch_nice(self, nice: u8) -> Self {
        self.cpu_pool_nice(nice)
    }
}
