//! The worker that serves the sockets alone, if there is one.

use runtime_core::primitives::atomic::{
    AtomicUsize,
    Ordering::{Relaxed, SeqCst},
    fence,
};

/// The value of the word while there is no owner.
const NO_OWNER: usize = usize::MAX;

/// The worker that serves the sockets alone, if there is one.
///
/// Relaxed throughout: threads agree only on this word. Where a change wakes others, the waker's fence comes in
/// between.
#[derive(Debug)]
pub(crate) struct IoOwner(AtomicUsize);

impl Default for IoOwner {
    fn default() -> Self {
        Self(AtomicUsize::new(NO_OWNER))
    }
}

impl IoOwner {
    #[inline]
    pub(crate) fn is(&self, worker: usize) -> bool {
        self.0.load(Relaxed) == worker
    }

    /// Whether another worker than this one is the owner.
    pub(crate) fn is_other_than(&self, worker: usize) -> bool {
        let owner = self.0.load(Relaxed);
        owner != worker && owner != NO_OWNER
    }

    /// Call this when the owner was refused the poller's token: it steps back, and tries once more. The caller has a
    /// sequentially consistent fence between its last socket's task and this call. Returns true if it was the owner.
    pub(crate) fn step_back(&self, worker: usize) -> bool {
        let was_owner = self.release(worker);
        if was_owner {
            // Either it gets the token now, or the holder's next turn sees that there is no owner; pairs with the
            // fence before that turn.
            fence(SeqCst);
        }
        was_owner
    }

    /// Makes the worker the owner, if there is none. The caller has the poller's token. Returns true if it is the
    /// owner now.
    pub(crate) fn claim(&self, worker: usize) -> bool {
        match self.0.load(Relaxed) {
            NO_OWNER => {
                self.0.store(worker, Relaxed);
                true
            }
            owner => owner == worker,
        }
    }

    /// Removes the owner. The caller has the poller's token.
    pub(crate) fn remove(&self) {
        // Only if necessary, because all workers read it.
        if self.0.load(Relaxed) != NO_OWNER {
            self.0.store(NO_OWNER, Relaxed);
        }
    }

    /// Removes the worker as the owner. If this returns true, it was the owner, and a sleeper must be woken if there
    /// is one.
    pub(crate) fn release(&self, worker: usize) -> bool {
        self.is(worker)
            && self
                .0
                .compare_exchange(worker, NO_OWNER, Relaxed, Relaxed)
                .is_ok()
    }
}
