#![doc = include_str!("README.md")]

mod backlog;
mod help;

#[cfg(all(test, lab_loom))]
mod loom_tests;

use runtime_core::primitives::atomic::{
    AtomicUsize,
    Ordering::{Relaxed, SeqCst},
    fence,
};

pub(crate) use help::Help;

const NOBODY: usize = usize::MAX;

/// The worker that serves the sockets without help, if there is one.
///
/// Relaxed throughout: what is agreed upon is this word alone; where others are told of a change, the tellers' fence
/// comes between.
#[derive(Debug)]
pub(crate) struct Keeper(AtomicUsize);

impl Default for Keeper {
    fn default() -> Self {
        Self(AtomicUsize::new(NOBODY))
    }
}

impl Keeper {
    #[inline]
    pub(crate) fn is(&self, worker: usize) -> bool {
        self.0.load(Relaxed) == worker
    }

    /// Whether another worker than this one is the keeper.
    pub(crate) fn is_other_than(&self, worker: usize) -> bool {
        let keeper = self.0.load(Relaxed);
        keeper != worker && keeper != NOBODY
    }

    /// The poller's token for a worker that goes to sleep, if it is its turn to wait in the reactor. The caller has a
    /// sequentially consistent fence between its last socket's task and this.
    pub(crate) fn turn<T>(&self, worker: usize, try_lock: impl Fn() -> Option<T>) -> Option<T> {
        if self.is_other_than(worker) {
            return None;
        }
        try_lock().or_else(|| {
            if !self.release(worker) {
                return None;
            }
            // Either we get it now, or its holder's next turn sees that there is no keeper; pairs with the fence that
            // it has before.
            fence(SeqCst);
            try_lock()
        })
    }

    /// Makes the worker the keeper, if there is none. The caller has the poller's token. True if it is the keeper now.
    pub(crate) fn claim(&self, worker: usize) -> bool {
        match self.0.load(Relaxed) {
            NOBODY => {
                self.0.store(worker, Relaxed);
                true
            }
            keeper => keeper == worker,
        }
    }

    /// There is to be none. The caller has the poller's token.
    pub(crate) fn remove(&self) {
        // Only if need be: all workers read it.
        if self.0.load(Relaxed) != NOBODY {
            self.0.store(NOBODY, Relaxed);
        }
    }

    /// The worker is not the keeper any more. True if it was: then a sleeper must be told, if there is one.
    pub(crate) fn release(&self, worker: usize) -> bool {
        self.is(worker)
            && self
                .0
                .compare_exchange(worker, NOBODY, Relaxed, Relaxed)
                .is_ok()
    }
}
