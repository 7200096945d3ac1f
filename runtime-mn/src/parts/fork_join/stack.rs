//! A worker's own forked closures, and which of them a wait may run.
#![allow(unsafe_code)]

use std::cell::Cell;

use runtime_core::primitives::spin_loop;

use super::deque::{Owner, Stolen, Thief};
use super::job::JobRef;

/// How many stolen closures may lie on top of each other on one stack, each in the wait of the one below.
///
/// A wait whose own closures are all taken helps others meanwhile; without a bound, each helper could wait, and help,
/// in its turn. At the bound it sleeps until its latch is set. That harms nobody: see the module.
const NESTED_MAX: u32 = 16;

/// The closures that a worker has forked and nobody has taken, newest first.
///
/// A closure's *height* is how many were below it when it was pushed. Thieves take from below, the worker from above;
/// so what lies at a height and above is what was pushed since the worker was at that height, whoever took what lay
/// below.
pub(crate) struct Closures {
    deque: Owner,
    /// Of the next one to be pushed. Those that thieves have taken still count.
    height: Cell<usize>,
    /// Stolen closures on this stack.
    nested: Cell<u32>,
}

/// A worker's closures, as thieves see them: they take the oldest.
pub(crate) struct Stealer(Thief);

impl Stealer {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn steal(&self) -> Option<JobRef> {
        loop {
            match self.0.steal() {
                // SAFETY: from `push`, and it is taken once.
                Stolen::Closure(raw) => return Some(unsafe { JobRef::from_raw(raw) }),
                Stolen::Nothing => return None,
                Stolen::Retry => spin_loop(),
            }
        }
    }
}

/// A height.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(usize);

impl Mark {
    /// Below everything: for a worker that is in no wait.
    pub(crate) const BOTTOM: Self = Self(0);
}

impl Closures {
    pub(crate) fn new() -> Self {
        Self {
            deque: Owner::new(),
            height: Cell::new(0),
            nested: Cell::new(0),
        }
    }

    pub(crate) fn stealer(&self) -> Stealer {
        Stealer(self.deque.thief())
    }

    /// What is pushed from now on is [since](Closures::pop_since) this.
    #[inline]
    pub(crate) fn mark(&self) -> Mark {
        Mark(self.height.get())
    }

    #[inline]
    pub(crate) fn push(&self, job: JobRef) {
        self.deque.push(job.into_raw());
        self.height.set(self.height.get() + 1);
    }

    /// The newest closure, if it was pushed since `mark`.
    #[inline]
    pub(crate) fn pop_since(&self, mark: Mark) -> Option<JobRef> {
        let height = self.height.get();
        if height <= mark.0 {
            return None;
        }
        // SAFETY: from `push`, and it is taken once.
        let job = self.deque.pop().map(|raw| unsafe { JobRef::from_raw(raw) });
        // With none left, thieves have taken all that counted.
        self.height
            .set(if job.is_some() { height - 1 } else { mark.0 });
        job
    }

    /// Whether a wait may run what it finds elsewhere.
    pub(super) fn may_nest(&self) -> bool {
        self.nested.get() < NESTED_MAX
    }

    /// Calls `run` one level further up.
    pub(super) fn nest(&self, run: impl FnOnce()) {
        self.nested.set(self.nested.get() + 1);
        run();
        self.nested.set(self.nested.get() - 1);
    }
}
