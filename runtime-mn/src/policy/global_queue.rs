//! One queue for all.

use runtime_core::task::Task;

use super::{Found, Knobs, LifoSlot, Place, Policy, Queues, Thief, WokenBy};

/// Every task goes to the one shared queue, first come, first served, and every worker takes from it, one at a time: the simplest M:N
/// scheduler, fair by construction, and every push and pop fights over the same cache lines.
#[derive(Clone, Copy, Debug, Default)]
pub struct GlobalQueue;

impl Policy for GlobalQueue {
    fn name(&self) -> &'static str {
        "global-queue"
    }

    fn knobs(&self) -> Knobs {
        Knobs {
            lifo_slot: LifoSlot::Off,
            ..Knobs::default()
        }
    }

    fn steals(&self) -> bool {
        false
    }

    fn place_spawned(&self, _: &Queues<'_>) -> Place {
        Place::Shared
    }

    fn place_woken(&self, _: &Queues<'_>, _: WokenBy) -> Place {
        Place::Shared
    }

    fn next(&self, own: &Queues<'_>) -> Option<Task> {
        own.injected()
    }

    fn search(&self, thief: &Thief<'_>) -> Option<Found> {
        thief.injected().or_else(|| thief.due_timers())
    }
}
