//! How many stacks there are.

use std::sync::atomic::Ordering::Relaxed;

use super::guard::{self, Guards};
use super::{cache, slab};

/// The stacks of all green tasks of the process, of all sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StackStats {
    /// Mappings that stacks are cut from. The kernel may merge neighbours; guards that are mappings split them.
    pub slabs: usize,
    /// Addresses that are reserved for stacks, in bytes. Only touched addresses use memory.
    pub reserved_bytes: usize,
    /// Stacks that were ever created: the most that were in use or in the caches of threads at a time.
    pub made: usize,
    /// Stacks of tasks that have begun and not ended.
    pub in_use: usize,
    /// Stacks that are never used again, because their tasks overflowed them or left them half-way.
    pub abandoned: usize,
    /// How overflows of new stacks are caught.
    pub guards: Guards,
}

/// The present numbers. While other threads begin and end tasks, they may be off by a few.
pub fn stack_stats() -> StackStats {
    let sum = |of: fn(&slab::Pool) -> usize| slab::pools().iter().map(of).sum::<usize>();
    let made = sum(|pool| pool.made.load(Relaxed));
    let resting = sum(|pool| pool.resting.load(Relaxed));
    let abandoned = sum(|pool| pool.abandoned.load(Relaxed));
    StackStats {
        slabs: sum(|pool| pool.slabs.load(Relaxed)),
        reserved_bytes: sum(|pool| pool.mapped_bytes.load(Relaxed)),
        made,
        in_use: made.saturating_sub(resting + abandoned + cache::cached()),
        abandoned,
        guards: guard::kind(),
    }
}
