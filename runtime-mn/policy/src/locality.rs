//! The nearest victim first.

use core::iter::once;

use crate::{Attempt, Distance, Policy, SearchView, SleeperView};

/// Like [`GoLike`](crate::GoLike), but a thief steals first from workers on its own core, then from those that share
/// its cache, then its memory, then from the rest; among equals it begins at a random one. A worker wakes the sleeper
/// that is nearest to it. A task's memory therefore stays in a cache that its next worker shares. Workers should be
/// pinned.
///
/// Source: Guo, Zhao, Cave and Sarkar, "SLAW: a scalable locality-aware adaptive work-stealing scheduler", 2010.
#[derive(Clone, Copy, Debug, Default)]
pub struct Locality;

/// All others, the nearest first.
fn nearest_first(thief: SearchView<'_>) -> impl Iterator<Item = usize> {
    Distance::ALL.into_iter().flat_map(move |distance| {
        let victims = thief.victims();
        victims.filter(move |victim| thief.distance(*victim) == distance)
    })
}

impl Policy for Locality {
    fn name(&self) -> &'static str {
        "locality"
    }

    fn wake(&self, sleepers: &SleeperView<'_>) -> Option<usize> {
        // A non-worker thread is not near to any worker: use the default.
        sleepers.waking_worker()?;
        sleepers.sleepers().min_by_key(|it| sleepers.distance(*it))
    }

    fn search(&self, thief: &SearchView<'_>) -> impl Iterator<Item = Attempt> {
        once(Attempt::Injected)
            .chain(nearest_first(*thief).map(Attempt::Steal))
            .chain(once(Attempt::DueTimers))
            .chain(nearest_first(*thief).map(Attempt::StealSlot))
    }
}
