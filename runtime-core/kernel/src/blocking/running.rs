//! Which runtime a thread runs a blocking job for.

use std::cell::Cell;
use std::sync::{Arc, Weak};

use super::job_context::JobContext;
use super::pool::BlockingPool;
use crate::context::{self, Ambient, Role};
use crate::primitives::thread_local;
use crate::time::Hold;

/// Runs for no runtime.
const NO_RUNTIME: usize = 0;
/// Runs for every runtime: a thread that serves all of them.
const EVERY_RUNTIME: usize = usize::MAX;

thread_local! {
    /// The identity of the runtime. It is only compared.
    static RUNS_FOR: Cell<usize> = const { Cell::new(NO_RUNTIME) };
}

/// The address of its pool, because under 1:1 each task has its own ambient.
fn identity(ambient: &Arc<dyn Ambient>) -> usize {
    Arc::as_ptr(ambient.blocking_pool()).addr()
}

/// The calling thread runs a blocking job for a runtime until this is dropped.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct RunsFor(usize);

impl RunsFor {
    fn begin(ambient: &Arc<dyn Ambient>) -> Self {
        Self(RUNS_FOR.replace(identity(ambient)))
    }

    /// For a thread of ours that serves all runtimes, and must not wait for any of them.
    pub fn every_runtime() -> Self {
        Self(RUNS_FOR.replace(EVERY_RUNTIME))
    }

    /// The former name of [`RunsFor::every_runtime`].
    #[deprecated(note = "it is called `every_runtime`")]
    pub fn everybody() -> Self {
        Self::every_runtime()
    }
}

impl<A: Ambient> JobContext for A {
    fn run_job(self: Arc<Self>, job: &mut dyn FnMut()) {
        let ambient: Arc<dyn Ambient> = self;
        let _runs_for = RunsFor::begin(&ambient);
        let _entered = context::enter(ambient, Role::NonWorker);
        job();
    }

    fn hold_clock(&self) -> Hold {
        self.clock().hold()
    }
}

impl BlockingPool {
    /// Sets the runtime that code in blocking functions finds. The threads enter it for each job, as non-worker
    /// threads.
    pub fn set_ambient(&self, ambient: Weak<dyn Ambient>) {
        self.set_context(ambient);
    }
}

impl Drop for RunsFor {
    fn drop(&mut self) {
        RUNS_FOR.set(self.0);
    }
}

/// What a thread runs at the moment, to pass on to a thread that does a part of it: a branch of fork-join.
#[derive(Clone, Copy, Debug)]
pub struct OnBehalf(usize);

impl OnBehalf {
    /// What the calling thread runs.
    pub fn current() -> Self {
        Self(RUNS_FOR.get())
    }

    /// The calling thread does a part of that work until the guard is dropped.
    pub fn begin(self) -> RunsFor {
        RunsFor(RUNS_FOR.replace(self.0))
    }
}

/// Whether the calling thread runs a blocking job for that runtime. One of the runtime's tasks may wait for the job,
/// so the job must not wait for the runtime's tasks: an owner that is dropped there only begins the shutdown.
pub fn is_in_job_of(ambient: &Arc<dyn Ambient>) -> bool {
    let runs_for = RUNS_FOR.get();
    runs_for == EVERY_RUNTIME || runs_for == identity(ambient)
}
