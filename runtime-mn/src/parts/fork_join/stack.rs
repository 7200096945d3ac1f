//! A worker's own forked closures, and which of them a wait may run.
#![allow(unsafe_code)]

use std::cell::Cell;

use runtime_core::primitives::spin_loop;

use super::deque::{Owner, Stolen, Thief};
use super::job::JobRef;

/// How many stolen closures can be nested on one stack, each in a wait of the one below.
///
/// A wait whose own closures are all taken runs stolen closures meanwhile. Without a bound, each of these could wait,
/// and run further ones. At the bound the wait sleeps until its latch is set. The module explains why this can't cause
/// a deadlock.
const MAX_NESTING: u32 = 16;

/// The closures that a worker has forked and no thread has taken, newest first.
///
/// A closure's *height* is the number of closures below it when it was pushed. Thieves take from below, the worker
/// from above. So the closures at a height and above are those that were pushed since the worker was at that height,
/// whichever thread took the closures below.
pub(crate) struct Closures {
    deque: Owner,
    /// The height of the next closure. Closures that thieves have taken still count.
    height: Cell<usize>,
    /// The height of the closure that was handed over last.
    handed: Cell<usize>,
    /// Stolen closures on this stack.
    nested: Cell<u32>,
}

/// A worker's closures, as thieves see them: they take the oldest.
pub(crate) struct Stealer(Thief);

impl Stealer {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn steal(&self, gives_up: impl Fn() -> bool) -> Option<JobRef> {
        loop {
            match self.0.steal(&gives_up) {
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
    /// Below all closures: for a worker that is in no wait.
    pub(crate) const BOTTOM: Self = Self(0);
}

impl Closures {
    pub(crate) fn new() -> Self {
        Self {
            deque: Owner::new(),
            height: Cell::new(0),
            handed: Cell::new(0),
            nested: Cell::new(0),
        }
    }

    pub(crate) fn stealer(&self) -> Stealer {
        Stealer(self.deque.thief())
    }

    /// Closures that are pushed from now on are [since](Closures::pop_since) this mark.
    #[inline]
    pub(crate) fn mark(&self) -> Mark {
        Mark(self.height.get())
    }

    #[inline]
    pub(crate) fn push(&self, job: JobRef) {
        let height = self.height.get();
        if let Some(newer) = self.deque.push(job.into_raw()) {
            self.handed.set(height - newer);
        }
        self.height.set(height + 1);
    }

    /// The newest closure, if it was pushed since `mark`.
    #[inline]
    pub(crate) fn pop_since(&self, mark: Mark) -> Option<JobRef> {
        let height = self.height.get();
        if height <= mark.0 {
            return None;
        }
        let (job, height) = match self.deque.pop() {
            Some(job) => (Some(job), height - 1),
            None => self.pop_handed(mark),
        };
        self.height.set(height);
        // SAFETY: from `push`, and it is taken once.
        job.map(|raw| unsafe { JobRef::from_raw(raw) })
    }

    /// Call this when the deque is empty. Returns the closure that was handed over, if it was pushed since `mark` and
    /// no thief has taken it, and the height without it. If there is none, thieves have taken all closures that
    /// counted.
    #[cold]
    fn pop_handed(&self, mark: Mark) -> (Option<*mut ()>, usize) {
        let handed = self.handed.get();
        let is_since = handed >= mark.0;
        match is_since.then(|| self.deque.take_back()).flatten() {
            Some(job) => (Some(job), handed),
            None => (None, mark.0),
        }
    }

    /// Whether a wait may run stolen closures.
    pub(super) fn may_nest(&self) -> bool {
        self.nested.get() < MAX_NESTING
    }

    /// Calls `run` with one more level of nesting.
    pub(super) fn nest(&self, run: impl FnOnce()) {
        self.nested.set(self.nested.get() + 1);
        run();
        self.nested.set(self.nested.get() - 1);
    }
}

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests {
    use runtime_core::asymmetric_fence;

    use super::*;

    /// A thief asks, and the oldest closure, which is below the mark, is handed over.
    #[test]
    fn a_wait_takes_back_what_was_handed_over_only_if_it_was_pushed_since() {
        // Never called.
        let raw = |number| std::ptr::without_provenance_mut(number);
        // SAFETY: as above; each is made once.
        let job = |number| unsafe { JobRef::from_raw(raw(number)) };
        let closures = Closures::new();
        let stealer = closures.stealer();
        let pop = |mark| closures.pop_since(mark).map(JobRef::into_raw);
        closures.push(job(1));
        closures.push(job(2));
        if !asymmetric_fence::heavy_is_expensive() {
            return;
        }
        assert!(stealer.steal(|| true).is_none(), "it does not wait");
        let mark = closures.mark();
        closures.push(job(3));
        assert_eq!(pop(mark), Some(raw(3)));
        assert_eq!(pop(mark), None);
        assert_eq!(pop(Mark::BOTTOM), Some(raw(2)));
        assert_eq!(pop(Mark(1)), None);
        assert_eq!(pop(Mark::BOTTOM), Some(raw(1)));
        assert_eq!(pop(Mark::BOTTOM), None);
        assert!(stealer.is_empty());
    }

    /// Thieves have taken all closures except the one that was handed over, which is older than the wait.
    #[test]
    fn a_wait_leaves_what_was_handed_over_before_it_began() {
        let raw = |number| std::ptr::without_provenance_mut(number);
        // SAFETY: never called; each is made once.
        let job = |number| unsafe { JobRef::from_raw(raw(number)) };
        let closures = Closures::new();
        let stealer = closures.stealer();
        closures.push(job(1));
        if !asymmetric_fence::heavy_is_expensive() {
            return;
        }
        assert!(stealer.steal(|| true).is_none(), "it does not wait");
        let mark = closures.mark();
        closures.push(job(2));
        // As if a thief had been faster.
        assert_eq!(closures.deque.pop(), Some(raw(2)));
        assert!(closures.pop_since(mark).is_none());
        assert!(!stealer.is_empty());
        assert!(closures.pop_since(Mark::BOTTOM).is_some());
    }
}
