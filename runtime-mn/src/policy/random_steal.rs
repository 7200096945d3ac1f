//! Cilk's.

use std::time::Duration;

use super::{Found, Knobs, LifoSlot, Place, Policy, Queues, Steal, Thief, WokenBy};

/// Each worker runs its newest task first; a thief takes the oldest one of a random victim, and only that one. For trees of tasks
/// this is within a constant of the best possible, in time and in memory; for flat work it steals more often than need be.
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
            patience: Duration::ZERO,
            ..Knobs::default()
        }
    }

    fn place_woken(&self, _: &Queues<'_>, by: WokenBy) -> Place {
        match by {
            WokenBy::Task => Place::Newest,
            WokenBy::Driver | WokenBy::Itself => Place::Back,
        }
    }

    fn search(&self, thief: &Thief<'_>) -> Option<Found> {
        thief
            .injected()
            .or_else(|| thief.random_victim()?.steal())
            .or_else(|| thief.due_timers())
            // The random one may have had nothing: before a worker sleeps, it must have looked at all.
            .or_else(|| thief.victims().find_map(|victim| victim.steal()))
    }
}
