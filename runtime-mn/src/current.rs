//! Which worker the calling thread is.
#![allow(unsafe_code)]

use std::any::TypeId;
use std::cell::Cell;
use std::ptr;
use std::sync::Arc;

use runtime_core::primitives::thread_local;
use runtime_core::task::home;

use crate::scheduler::{Local, Shared};
use crate::seam::facts::State;

/// The pointers are only compared until the type is known.
#[derive(Clone, Copy)]
struct Current {
    worker: *const (),
    /// Where the shared state of its runtime is.
    runtime: *const (),
    parts: Option<TypeId>,
}

const NO_WORKER: Current = Current {
    worker: ptr::null(),
    runtime: ptr::null(),
    parts: None,
};

thread_local! {
    static CURRENT: Cell<Current> = const { Cell::new(NO_WORKER) };
    /// The runtime whose worker has left this thread for a while.
    static AWAY_FROM: Cell<*const ()> = const { Cell::new(ptr::null()) };
}

impl<H: State> Local<H> {
    /// Calls `body` with this as the calling thread's worker.
    pub(crate) fn enter(&self, body: impl FnOnce()) {
        CURRENT.set(Current {
            worker: ptr::from_ref(self).cast(),
            runtime: Arc::as_ptr(&self.shared).cast(),
            parts: Some(TypeId::of::<H>()),
        });
        body();
        CURRENT.set(NO_WORKER);
    }

    /// The calling thread's worker, if it belongs to this runtime.
    #[inline]
    pub(crate) fn current<'a>(shared: &Arc<Shared<H>>) -> Option<&'a Self> {
        let worker = worker_of(shared)?;
        // SAFETY: by `worker_of`. It is alive: `enter` keeps it further up on this thread's stack, and the returned
        // reference does not leave the calls that come from there.
        Some(unsafe { &*worker })
    }

    /// The number of the calling thread's worker, if it belongs to this runtime.
    pub(crate) fn current_index(shared: &Shared<H>) -> Option<usize> {
        let worker = worker_of(shared)?;
        // SAFETY: as in `current`.
        Some(unsafe { &*worker }.queues.index)
    }

    /// Calls `body` with the calling thread's worker, whichever runtime it belongs to; meanwhile the thread has no
    /// worker. Returns `None` if the thread has no worker, or one with other parts.
    pub(crate) fn leave<R>(body: impl FnOnce(&Self) -> R) -> Option<R> {
        struct Return(Current, u32);
        impl Drop for Return {
            fn drop(&mut self) {
                AWAY_FROM.set(ptr::null());
                CURRENT.set(self.0);
                home::come_back(self.1);
            }
        }
        let current = CURRENT.try_with(Cell::get).unwrap_or(NO_WORKER);
        if current.parts != Some(TypeId::of::<H>()) {
            return None;
        }
        CURRENT.set(NO_WORKER);
        AWAY_FROM.set(current.runtime);
        let _return = Return(current, home::leave());
        // SAFETY: the parts have the type `H`, so it is a `Local<H>`. It is alive as in `current`.
        Some(body(unsafe { &*current.worker.cast::<Self>() }))
    }
}

/// The calling thread's worker, if it belongs to that runtime. The worker keeps its `Shared` alive, so no other value
/// is at that address, and the caller's has the type `Shared<H>`. So the worker is a `Local<H>`.
#[inline]
fn worker_of<H: State>(shared: &Shared<H>) -> Option<*const Local<H>> {
    let current = CURRENT.try_with(Cell::get).ok()?;
    ptr::eq(current.runtime, ptr::from_ref(shared).cast()).then_some(current.worker.cast())
}

/// Whether a worker of that runtime has [left](leave) the calling thread, for the code that runs there now.
pub(crate) fn is_away_from(runtime: *const ()) -> bool {
    let away_from = AWAY_FROM.try_with(Cell::get).unwrap_or(ptr::null());
    ptr::eq(away_from, runtime)
}
