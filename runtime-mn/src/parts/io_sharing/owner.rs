//! The worker that serves the sockets alone, if there is one.

use runtime_core::primitives::atomic::{
    AtomicUsize,
    Ordering::{Relaxed, SeqCst},
    fence,
};

const NOBODY: usize = usize::MAX;

/// The worker that serves the sockets without help, if there is one.
///
/// Relaxed throughout: what is agreed upon is this word alone; where others are woken for a change, the wakers' fence
/// comes between.
#[derive(Debug)]
pub(crate) struct IoOwner(AtomicUsize);

impl Default for IoOwner {
    fn default() -> Self {
        Self(AtomicUsize::new(NOBODY))
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
        owner != worker && owner != NOBODY
    }

    /// The owner was refused the poller's token: it steps back, and tries once more. The caller has a sequentially
    /// consistent fence between its last socket's task and this. True if it was the owner.
    pub(crate) fn step_back(&self, worker: usize) -> bool {
        let was_owner = self.release(worker);
        if was_owner {
            // Either it gets the token now, or its holder's next turn sees that there is no owner; pairs with the
            // fence that it has before.
            fence(SeqCst);
        }
        was_owner
    }

    /// Makes the worker the owner, if there is none. The caller has the poller's token. True if it is the owner now.
    pub(crate) fn claim(&self, worker: usize) -> bool {
        match self.0.load(Relaxed) {
            NOBODY => {
                self.0.store(worker, Relaxed);
                true
            }
            owner => owner == worker,
        }
    }

    /// There is to be none. The caller has the poller's token.
    pub(crate) fn remove(&self) {
        // Only if need be: all workers read it.
        if self.0.load(Relaxed) != NOBODY {
            self.0.store(NOBODY, Relaxed);
        }
    }

    /// The worker is not the owner any more. True if it was: then a sleeper must be woken, if there is one.
    pub(crate) fn release(&self, worker: usize) -> bool {
        self.is(worker)
            && self
                .0
                .compare_exchange(worker, NOBODY, Relaxed, Relaxed)
                .is_ok()
    }
}
