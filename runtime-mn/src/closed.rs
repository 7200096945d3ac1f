//! Whether the runtime has closed, and that no task stays behind in the injector when it does.
//!
//! A thread that is no worker pushes first and then looks whether the runtime has closed; whoever ends it closes first
//! and then empties the injector; between the two both have a sequentially consistent fence. So either the pusher sees
//! that it has closed, and empties the injector itself, or whoever empties it sees the push.

use runtime_core::primitives::atomic::{
    AtomicBool,
    Ordering::{self, Relaxed, SeqCst},
    fence,
};

#[cfg(all(test, lab_loom))]
mod loom_tests;

#[derive(Debug)]
pub(crate) struct Closed(AtomicBool);

impl Closed {
    pub(crate) fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Whether it has closed. Relaxed, a hint: it may close at any moment.
    #[inline]
    pub(crate) fn load(&self, order: Ordering) -> bool {
        self.0.load(order)
    }

    /// Closes. The caller tells the workers, who end, and empties the queues.
    pub(crate) fn set(&self) {
        self.0.store(true, SeqCst);
        // Pairs with the fence in `since_push`.
        fence(SeqCst);
    }

    /// Something was pushed. True: it has closed, and the caller must empty the injector. False: whoever closes it
    /// will.
    pub(crate) fn since_push(&self) -> bool {
        // Pairs with the fences in `set` and `before_drain`.
        fence(SeqCst);
        self.0.load(Relaxed)
    }

    /// A thread that has seen it closed, by whatever load, is about to empty the injector.
    pub(crate) fn before_drain(&self) {
        // Pairs with the fence in `since_push`.
        fence(SeqCst);
    }
}
