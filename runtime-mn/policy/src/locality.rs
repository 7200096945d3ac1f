//! The nearest victim first.

use core::iter::once;

use crate::{Attempt, Distance, Policy, SearchView, SleeperView};

/// As [`GoLike`](crate::GoLike), but a thief robs workers on its own core first, then those that share its cache, then
/// its memory, then the rest; among equals it begins at a random one. And the sleeper that is woken is the one nearest
/// to whoever wakes. So a task's memory stays in a cache that its next worker shares. Workers should be pinned.
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
        // With no place to be near to, the default.
        sleepers.teller()?;
        sleepers.sleepers().min_by_key(|it| sleepers.distance(*it))
    }

    fn search(&self, thief: &SearchView<'_>) -> impl Iterator<Item = Attempt> {
        once(Attempt::Injected)
            .chain(nearest_first(*thief).map(Attempt::Steal))
            .chain(once(Attempt::DueTimers))
            .chain(nearest_first(*thief).map(Attempt::StealSlot))
    }
}
