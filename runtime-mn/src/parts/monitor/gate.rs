//! The monitor's sleep: no worker that wakes up is overlooked. The protocol is in the README.

use runtime_core::primitives::atomic::{
    AtomicBool,
    Ordering::{Relaxed, SeqCst},
    fence,
};

/// Whether the monitor sleeps.
#[derive(Debug)]
pub(super) struct Gate {
    asleep: AtomicBool,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self {
            asleep: AtomicBool::new(false),
        }
    }

    /// The monitor announces that it sleeps. Before it does, it must check the workers once more.
    pub(super) fn announce(&self) {
        self.asleep.store(true, Relaxed);
        // Pairs with the fence of a worker that wakes up.
        fence(SeqCst);
    }

    pub(super) fn take_back(&self) {
        self.asleep.store(false, Relaxed);
    }

    /// Call this when a worker has woken up, after a fence. If it returns true, the worker must wake the monitor.
    pub(super) fn worker_woke(&self) -> bool {
        self.asleep.load(Relaxed) && self.asleep.swap(false, Relaxed)
    }
}
