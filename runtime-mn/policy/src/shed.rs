//! Work sharing: the busy push.

use core::iter::once;

use crate::{Attempt, Place, Policy, SearchView, WokenBy, WorkerView};

/// Nobody steals. A worker that has `threshold` tasks queued and gets another one looks at a few others, beginning at a
/// random one, and sends the task to the first that has fewer than `threshold`. If there is none, it keeps the task.
///
/// This is the counterpart of stealing: it costs a busy worker something, where stealing costs an idle one. It is the
/// better of the two under light load, and the worse under heavy load.
///
/// Source: Eager, Lazowska and Zahorjan, "Adaptive load sharing in homogeneous distributed systems" (its policy
/// "threshold"), 1986.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shed {
    /// Tasks that a worker keeps to itself.
    pub threshold: usize,
    /// How many others it looks at for one task.
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
    /// Somebody who has less to do, if this worker has much.
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
