//! Which runtime a thread runs a blocking job for.

use std::cell::Cell;
use std::sync::Arc;

use crate::context::Ambient;
use crate::primitives::thread_local;

/// No runtime is there.
const NOBODY: usize = 0;
/// Nor there: a thread that serves all runtimes.
const EVERYBODY: usize = usize::MAX;

thread_local! {
    /// What tells that runtime from others; only compared.
    static RUNS_FOR: Cell<usize> = const { Cell::new(NOBODY) };
}

/// By its pool, as under 1:1 each task has an ambient of its own.
fn identity(ambient: &Arc<dyn Ambient>) -> usize {
    Arc::as_ptr(ambient.blocking_pool()).addr()
}

/// The calling thread runs a blocking job for a runtime until this is dropped.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct RunsFor(usize);

impl RunsFor {
    pub(super) fn begin(ambient: &Arc<dyn Ambient>) -> Self {
        Self(RUNS_FOR.replace(identity(ambient)))
    }

    /// For a thread of ours that serves all runtimes, and must wait for none.
    pub fn everybody() -> Self {
        Self(RUNS_FOR.replace(EVERYBODY))
    }
}

impl Drop for RunsFor {
    fn drop(&mut self) {
        RUNS_FOR.set(self.0);
    }
}

/// What a thread runs at the moment, for one that does a part of it: a branch of fork-join.
#[derive(Clone, Copy, Debug)]
pub struct OnBehalf(usize);

impl OnBehalf {
    /// Of the calling thread.
    pub fn current() -> Self {
        Self(RUNS_FOR.get())
    }

    /// The calling thread does a part of it until the guard is dropped.
    pub fn begin(self) -> RunsFor {
        RunsFor(RUNS_FOR.replace(self.0))
    }
}

/// Whether the calling thread runs a blocking job for that runtime. A task of its may wait for the job, so the job
/// must not wait for the runtime's tasks: an owner that is dropped there only begins the shutdown.
pub fn is_in_job_of(ambient: &Arc<dyn Ambient>) -> bool {
    let runs_for = RUNS_FOR.get();
    runs_for == EVERYBODY || runs_for == identity(ambient)
}
