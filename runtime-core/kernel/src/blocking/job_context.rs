//! The runtime that a blocking job is for, as the pool sees it.

use std::sync::Arc;

use crate::time::Hold;

/// What the pool asks of the runtime that a job is for. Every [`Ambient`](crate::context::Ambient) implements it.
pub trait JobContext: Send + Sync + 'static {
    /// Calls `job` on the calling thread. Meanwhile the thread is in the runtime, and may block.
    fn run_job(self: Arc<Self>, job: &mut dyn FnMut());

    /// Holds the runtime's clock: simulated time does not pass until the hold is dropped.
    fn hold_clock(&self) -> Hold;
}
