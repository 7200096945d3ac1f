//! One queue for all workers.

use crate::{Attempt, Knobs, LifoSlot, Place, Policy, SearchView, Source, WokenBy, WorkerView};

/// Every task goes to one shared queue, first come, first served, and every worker takes tasks from it, one at a
/// time. This is the simplest M:N scheduler. It is fair by construction, but every push and pop contends for the same
/// cache lines.
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

    fn place_spawned(&self, _: &WorkerView<'_>) -> Place {
        Place::Shared
    }

    fn place_woken(&self, _: &WorkerView<'_>, _: WokenBy) -> Place {
        Place::Shared
    }

    fn next(&self, _: &WorkerView<'_>) -> Option<Source> {
        Some(Source::Injected)
    }

    fn search(&self, _: &SearchView<'_>) -> impl Iterator<Item = Attempt> {
        [Attempt::Injected, Attempt::DueTimers].into_iter()
    }
}
