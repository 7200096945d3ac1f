//! A policy in its own crate.
// ANCHOR: policy
use std::iter::once;

use runtime_mn::policy::{Attempt, Policy, SearchView};

/// Like the default, but a thief draws two victims and steals from the fuller one: the power of two choices.
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
            // Neither had anything. Before a worker sleeps, it must have checked all others.
            .chain(thief.victims().map(Attempt::Steal))
            .chain(thief.victims().map(Attempt::StealSlot))
    }
}
// ANCHOR_END: policy
