//! Whether a thread is one of a runtime's own: a worker, a thread of the batch lane, or the monitor.
//!
//! Whatever runs there (tasks, functions that block in place, destructors, wakers, callbacks, the policy) must not wait
//! for the end of the runtime's threads: an owner that is dropped there only begins the shutdown.

use std::cell::Cell;
use std::ptr;
use std::sync::Arc;

use runtime_core::primitives::thread_local;

use crate::shared::Shared;

thread_local! {
    /// Where that runtime is; only compared. A thread belongs to one runtime for its whole life, and has a reference to
    /// it.
    static OWN_OF: Cell<*const Shared> = const { Cell::new(ptr::null()) };
}

impl Shared {
    /// The calling thread is one of this runtime's own from now on.
    pub(crate) fn own_this_thread(self: &Arc<Self>) {
        OWN_OF.set(Arc::as_ptr(self));
    }

    /// Whether the calling thread is one of this runtime's own.
    pub(crate) fn owns_this_thread(self: &Arc<Self>) -> bool {
        OWN_OF.get() == Arc::as_ptr(self)
    }
}
