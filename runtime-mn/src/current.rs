//! Which worker the calling thread is. The pointers are for comparing; `Local::current` knows their type.

use std::any::TypeId;
use std::cell::Cell;
use std::ptr;

use runtime_core::primitives::thread_local;

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

/// Calls `body` with that worker, whose parts have that type, as the calling thread's.
pub(crate) fn enter(worker: *const (), runtime: *const (), parts: TypeId, body: impl FnOnce()) {
    CURRENT.set(Current {
        worker,
        runtime,
        parts: Some(parts),
    });
    body();
    CURRENT.set(NO_WORKER);
}

/// The calling thread's worker, if it is one of that runtime's.
#[inline]
pub(crate) fn worker_of(runtime: *const ()) -> Option<*const ()> {
    let current = CURRENT.try_with(Cell::get).ok()?;
    ptr::eq(current.runtime, runtime).then_some(current.worker)
}

/// Calls `body` with the calling thread's worker, if its parts have that type; meanwhile the thread has none.
pub(crate) fn leave<R>(parts: TypeId, body: impl FnOnce(*const ()) -> R) -> Option<R> {
    struct Return(Current);
    impl Drop for Return {
        fn drop(&mut self) {
            AWAY_FROM.set(ptr::null());
            CURRENT.set(self.0);
        }
    }
    let current = CURRENT.try_with(Cell::get).unwrap_or(NO_WORKER);
    if current.parts != Some(parts) {
        return None;
    }
    CURRENT.set(NO_WORKER);
    AWAY_FROM.set(current.runtime);
    let _return = Return(current);
    Some(body(current.worker))
}

/// Whether a worker of that runtime has [left](leave) the calling thread to what runs there now.
pub(crate) fn is_away_from(runtime: *const ()) -> bool {
    let away_from = AWAY_FROM.try_with(Cell::get).unwrap_or(ptr::null());
    ptr::eq(away_from, runtime)
}
