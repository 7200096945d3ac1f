//! Random stealing, as in Cilk.

use core::iter::once;
use core::time::Duration;

use crate::{Attempt, Knobs, LifoSlot, Place, Policy, SearchView, Steal, WokenBy, WorkerView};

/// Each worker runs its newest task first; a thief takes the oldest one of a random victim, and only that one. For
/// trees of tasks this is within a constant factor of the optimum, in time and in memory. For flat work it steals
/// more often than necessary.
///
/// Source: Blumofe and Leiserson, "Scheduling multithreaded computations by work stealing", 1999.
#[derive(Clone, Copy, Debug, Default)]
pub struct RandomSteal;

impl Policy for RandomSteal {
    fn name(&self) -> &'static str {
        "random-steal"
    }

    fn knobs(&self) -> Knobs {
        Knobs {
            steal: Steal::One,
            lifo_slot: LifoSlot::Off,
            wake_delay: Duration::ZERO,
            ..Knobs::default()
        }
    }

    fn place_woken(&self, _: &WorkerView<'_>, by: WokenBy) -> Place {
        match by {
            WokenBy::Task => Place::Newest,
            WokenBy::Driver | WokenBy::Itself => Place::Back,
        }
    }

    fn search(&self, thief: &SearchView<'_>) -> impl Iterator<Item = Attempt> {
        once(Attempt::Injected)
            .chain(thief.random_victim().map(Attempt::Steal))
            .chain(once(Attempt::DueTimers))
            // The random victim may have had nothing: before a worker sleeps, it must have checked all.
            .chain(thief.victims().map(Attempt::Steal))
    }
}
