//! The replacement workers: how many there may be, and which of them are not needed at present.

use std::sync::atomic::AtomicU64;

use runtime_core::primitives::Mutex;
use runtime_core::primitives::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::seam::plan::Unstarted;

/// The replacement workers.
pub(super) struct Replacements {
    pub(super) count: Count,
    waiting: Mutex<Waiting>,
    pub(super) hand_offs: AtomicU64,
}

struct Waiting {
    /// Those that have a thread, which waits.
    retired: Vec<usize>,
    /// Those without a thread. The last one is the next.
    unstarted: Vec<Unstarted>,
}

/// A replacement worker to send.
pub(super) enum Next {
    Retired(usize),
    Unstarted(Unstarted),
}

impl Replacements {
    pub(super) fn new(most: usize) -> Self {
        Self {
            count: Count::new(),
            waiting: Mutex::new(Waiting {
                retired: Vec::new(),
                unstarted: Vec::with_capacity(most),
            }),
            hand_offs: AtomicU64::new(0),
        }
    }

    pub(super) fn set_caught(&self, caught: usize) {
        self.count.set_caught(caught);
    }

    /// Whether there is one replacement worker too many. If so, the caller is no longer counted, and must end its
    /// work.
    #[inline]
    pub(super) fn retire_surplus(&self) -> bool {
        self.count.retire_surplus()
    }

    /// Takes back a worker that has no thread any more, or had none yet, for another thread.
    pub(super) fn take_back(&self, worker: Unstarted) {
        self.waiting.lock().unstarted.push(worker);
    }

    /// Notes that a replacement worker waits to be needed again.
    pub(super) fn retire(&self, worker: usize) {
        self.waiting.lock().retired.push(worker);
    }

    /// The next one to send, if one is left: one that waits, or else one without a thread.
    pub(super) fn next(&self) -> Option<Next> {
        let mut waiting = self.waiting.lock();
        let retired = waiting.retired.pop().map(Next::Retired);
        retired.or_else(|| waiting.unstarted.pop().map(Next::Unstarted))
    }

    /// Call this when a replacement worker has waited long enough, and wants its thread to end. If it returns true,
    /// the worker is not sent any more. If it returns false, it has just been sent.
    pub(super) fn strike_off(&self, worker: usize) -> bool {
        let retired = &mut self.waiting.lock().retired;
        let at = retired.iter().position(|waiting| *waiting == worker);
        at.map(|at| retired.swap_remove(at)).is_some()
    }
}

/// How many workers are stuck, and how many workers replace them.
#[derive(Debug)]
pub(super) struct Count {
    /// Workers that the monitor has caught.
    caught: AtomicUsize,
    /// Workers whose tasks block in place.
    in_place: AtomicUsize,
    replacing: AtomicUsize,
}

impl Count {
    pub(super) fn new() -> Self {
        Self {
            caught: AtomicUsize::new(0),
            in_place: AtomicUsize::new(0),
            replacing: AtomicUsize::new(0),
        }
    }

    /// Sets how many workers the monitor has caught.
    pub(super) fn set_caught(&self, caught: usize) {
        self.caught.store(caught, Relaxed);
    }

    /// Call this when a worker's task blocks in place.
    pub(super) fn one_leaves(&self) {
        self.in_place.fetch_add(1, Relaxed);
    }

    /// Call this when the worker is back.
    pub(super) fn one_comes_back(&self) {
        self.in_place.fetch_sub(1, Relaxed);
    }

    fn stuck(&self) -> usize {
        self.caught.load(Relaxed) + self.in_place.load(Relaxed)
    }

    pub(super) fn replacing(&self) -> usize {
        self.replacing.load(Relaxed)
    }

    /// Whether no worker is left that could do anything.
    pub(super) fn all_stuck(&self, workers: usize) -> bool {
        self.stuck() >= workers + self.replacing()
    }

    /// Whether one more replacement is allowed: one for each stuck worker. If so, it is counted.
    pub(super) fn admit(&self) -> bool {
        self.change(|stuck, replacing| (replacing < stuck).then(|| replacing + 1))
    }

    /// Whether there is one replacement worker too many. If so, the caller is the one that ends its work.
    pub(super) fn retire_surplus(&self) -> bool {
        self.change(|stuck, replacing| (replacing > stuck).then(|| replacing - 1))
    }

    /// Whether there are more replacement workers than stuck workers.
    pub(super) fn has_surplus(&self) -> bool {
        self.replacing() > self.stuck()
    }

    /// Call this when a replacement worker that was admitted can't be sent.
    pub(super) fn take_back(&self) {
        self.replacing.fetch_sub(1, Relaxed);
    }

    fn change(&self, rule: impl Fn(usize, usize) -> Option<usize>) -> bool {
        let mut replacing = self.replacing();
        while let Some(changed) = rule(self.stuck(), replacing) {
            // Relaxed: threads agree only on the count.
            let exchanged = self
                .replacing
                .compare_exchange(replacing, changed, Relaxed, Relaxed);
            match exchanged {
                Ok(_) => return true,
                Err(now) => replacing = now,
            }
        }
        false
    }
}
