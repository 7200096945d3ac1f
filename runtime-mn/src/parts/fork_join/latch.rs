//! A forker waits on it. The thread that runs the closure sets it, once.
#![allow(unsafe_code)]

use runtime_core::park::Unparker;
use runtime_core::primitives::atomic::{
    AtomicU8,
    Ordering::{AcqRel, Acquire, Relaxed},
};

use crate::scheduler::Local;
use crate::seam::Hooks;

const UNSET: u8 = 0;
/// The waiter is parked, or about to be: the setter unparks it.
const SLEEPING: u8 = 1;
const SET: u8 = 2;

pub(super) struct Latch {
    state: AtomicU8,
    waiter: Waiter,
}

/// The waiter. A worker's unparker outlives the latch, so it needs no counted reference: forks must stay cheap.
enum Waiter {
    Worker(*const Unparker),
    Thread(Unparker),
}

impl Latch {
    #[inline]
    pub(super) fn of_worker<H: Hooks>(worker: &Local<H>) -> Self {
        Self {
            state: AtomicU8::new(UNSET),
            waiter: Waiter::Worker(&raw const worker.remote.waking.unparker),
        }
    }

    /// A non-worker thread waits by its parker, without `sleep`, so it is always unparked.
    pub(super) fn of_thread(unparker: Unparker) -> Self {
        Self {
            state: AtomicU8::new(SLEEPING),
            waiter: Waiter::Thread(unparker),
        }
    }

    #[inline]
    pub(super) fn is_set(&self) -> bool {
        // Acquire: sees the closure's result; pairs with `set`.
        self.state.load(Acquire) == SET
    }

    /// Calls `park` unless the latch is set. From now on, the thread that sets the latch unparks the waiter.
    pub(super) fn sleep(&self, park: impl FnOnce()) {
        if self
            .state
            .compare_exchange(UNSET, SLEEPING, Relaxed, Relaxed)
            .is_ok()
        {
            park();
            // The park may have ended for another reason.
            let _ = self
                .state
                .compare_exchange(SLEEPING, UNSET, Relaxed, Relaxed);
        }
    }

    /// Sets the latch and wakes the waiter if it sleeps.
    ///
    /// # Safety
    /// The latch is alive. It may be gone as soon as the state has changed, so everything that is needed is read
    /// before.
    pub(super) unsafe fn set(this: *const Self) {
        // SAFETY: alive, by this function's contract.
        let latch = unsafe { &*this };
        let unparker = match &latch.waiter {
            // SAFETY: the worker waits for this latch further down on its own stack, so its runtime's shared state,
            // which contains the unparker, is alive.
            Waiter::Worker(unparker) => unsafe { (**unparker).clone() },
            Waiter::Thread(unparker) => unparker.clone(),
        };
        // AcqRel: publishes the closure's result; pairs with `is_set`.
        if latch.state.swap(SET, AcqRel) == SLEEPING {
            unparker.unpark();
        }
    }
}

// SAFETY: the pointer is to an `Unparker`, which may be shared.
unsafe impl Sync for Latch {}
