//! A policy in a crate of its own.
// ANCHOR: policy
use std::iter::once;

use runtime_mn::policy::{Attempt, Policy, SearchView};

/// As the default, but a thief draws two victims and robs the one that has more: the power of two choices.
///
/// Source: Mitzenmacher, "The power of two choices in randomized load balancing", 2001.
#[derive(Debug, Default)]
pub(crate) struct FullerOfTwo;

impl Policy for FullerOfTwo {
    fn name(&self) -> &'static str {
        "fuller-of-two"
    }

    fn search(&self, thief: &SearchView<'_>) -> impl Iterator<Item = Attempt> {
        let two = [thief.random_victim(), thief.random_victim()];
        let fuller = two.into_iter().flatten().max_by_key(|it| thief.queued(*it));
        once(Attempt::Injected)
            .chain(fuller.map(Attempt::Steal))
            .chain(once(Attempt::DueTimers))
            // Neither had anything: before a worker sleeps, it must have looked at all.
            .chain(thief.victims().map(Attempt::Steal))
            .chain(thief.victims().map(Attempt::StealSlot))
    }
}
// ANCHOR_END: policy
