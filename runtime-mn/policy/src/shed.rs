//! Work sharing: busy workers push tasks to idle ones.

use core::iter::once;

use crate::{Attempt, Place, Policy, SearchView, WokenBy, WorkerView};

/// No worker steals. If a worker with `threshold` queued tasks gets another one, it checks a few other workers,
/// beginning at a random one, and sends the task to the first that has fewer than `threshold`. If there is none, it
/// keeps the task.
///
/// This is the counterpart of stealing: it costs time of a busy worker, while stealing costs time of an idle one. It
/// is better under light load, and worse under heavy load.
///
/// Source: Eager, Lazowska and Zahorjan, "Adaptive load sharing in homogeneous distributed systems" (its policy
/// "threshold"), 1986.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shed {
    /// Tasks that a worker keeps to itself.
    pub threshold: usize,
    /// How many others it checks for one task.
    pub probes: usize,
}

impl Default for Shed {
    /// 2 tasks, 3 probes.
    fn default() -> Self {
        Self {
            threshold: 2,
            probes: 3,
        }
    }
}

impl Shed {
    /// A worker with less to do, if this worker has much.
    fn idler(&self, own: &WorkerView<'_>) -> Option<usize> {
        let (this, workers) = (own.worker(), own.workers());
        if own.queued(this) < self.threshold {
            return None;
        }
        let start = own.random() as usize % workers;
        let others = (0..workers).map(|offset| (start + offset) % workers);
        others
            .filter(|other| *other != this)
            .take(self.probes)
            .find(|other| own.queued(*other) < self.threshold)
    }
}

impl Policy for Shed {
    fn name(&self) -> &'static str {
        "shed"
    }

    fn steals(&self) -> bool {
        false
    }

    fn place_spawned(&self, own: &WorkerView<'_>) -> Place {
        self.idler(own).map_or(Place::Newest, Place::Worker)
    }

    fn place_woken(&self, own: &WorkerView<'_>, by: WokenBy) -> Place {
        match by {
            WokenBy::Task => Place::Slot,
            WokenBy::Driver => self.idler(own).map_or(Place::Back, Place::Worker),
            WokenBy::Itself => Place::Back,
        }
    }

    fn search(&self, _: &SearchView<'_>) -> impl Iterator<Item = Attempt> {
        once(Attempt::Injected)
    }
}
