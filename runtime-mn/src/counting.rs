//! Counts with one writer: no locked instruction.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Adds to a counter. Only the caller's thread may write it; others may read it.
#[inline]
pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(count), Relaxed);
}

/// Returns true once every `period` calls.
#[inline]
pub(crate) fn is_nth_call(countdown: &Cell<u32>, period: u32) -> bool {
    let left = countdown.get() - 1;
    countdown.set(if left == 0 { period } else { left });
    left == 0
}
