//! Which runtime a thread runs a blocking job for.

use std::cell::Cell;
use std::ptr;
use std::sync::Arc;

use crate::context::Ambient;
use crate::primitives::thread_local;

thread_local! {
    /// Where that runtime is; only compared.
    static RUNS_FOR: Cell<*const ()> = const { Cell::new(ptr::null()) };
}

fn address(ambient: &Arc<dyn Ambient>) -> *const () {
    Arc::as_ptr(ambient).cast()
}

/// The calling thread runs a blocking job for a runtime until this is dropped.
pub(super) struct RunsFor(*const ());

impl RunsFor {
    pub(super) fn begin(ambient: &Arc<dyn Ambient>) -> Self {
        Self(RUNS_FOR.replace(address(ambient)))
    }
}

impl Drop for RunsFor {
    fn drop(&mut self) {
        RUNS_FOR.set(self.0);
    }
}

/// Whether the calling thread runs a blocking job for that runtime. A task of its may wait for the job, so the job must
/// not wait for the runtime's tasks: an owner that is dropped there only begins the shutdown.
pub fn is_in_job_of(ambient: &Arc<dyn Ambient>) -> bool {
    RUNS_FOR.get() == address(ambient)
}
