//! Shared code of the policies that give each task a rank.

use core::iter::once;
use core::time::Duration;

use crate::{Attempt, Knobs, LifoSlot, SearchView, Steal};

/// Nothing comes before the ranks: no LIFO slot, no batches, and a sleeper is woken at once.
pub(crate) fn knobs() -> Knobs {
    Knobs {
        steal: Steal::One,
        lifo_slot: LifoSlot::Off,
        wake_delay: Duration::ZERO,
        ..Knobs::default()
    }
}

/// Injected tasks first, then the worker whose first task has the lowest rank, then everything else.
pub(crate) fn search(thief: &SearchView<'_>) -> impl Iterator<Item = Attempt> {
    let ranks = thief
        .victims()
        .filter_map(|it| Some((thief.first_rank(it)?, it)));
    once(Attempt::Injected)
        .chain(ranks.min().map(|(_, victim)| Attempt::StealRanked(victim)))
        .chain(thief.victims().map(Attempt::Steal))
        .chain(once(Attempt::DueTimers))
}
