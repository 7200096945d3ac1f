//! Earliest deadline first.

use core::time::Duration;

use crate::by_rank;
use crate::{Attempt, Knobs, Place, Policy, SearchView, Source, WokenBy, WorkerView};

/// A task's tag is its relative deadline in microseconds: each time that it is woken, it should run within that time,
/// and the task with the least time left runs first. On one worker, this meets all deadlines whenever any order can.
/// The scheduler does not drop late tasks.
///
/// Deadlines are points in time, so no task starves: later tasks have later deadlines.
///
/// Source: Liu and Layland, "Scheduling algorithms for multiprogramming in a hard-real-time environment", 1973.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// The relative deadline of tasks without one (tag 0).
    pub without: Duration,
}

impl Default for Deadline {
    /// 100 ms.
    fn default() -> Self {
        Self {
            without: Duration::from_millis(100),
        }
    }
}

impl Deadline {
    fn place(&self, own: &WorkerView<'_>) -> Place {
        let relative = match own.task().tag() {
            0 => self.without,
            tag => Duration::from_micros(tag.into()),
        };
        let relative_ns = u64::try_from(relative.as_nanos()).unwrap_or(u64::MAX);
        Place::Ranked(own.now_ns().saturating_add(relative_ns))
    }
}

impl Policy for Deadline {
    const PLACES_INJECTED: bool = true;

    fn name(&self) -> &'static str {
        "deadline"
    }

    fn knobs(&self) -> Knobs {
        by_rank::knobs()
    }

    fn place_injected(&self, own: &WorkerView<'_>) -> Place {
        self.place(own)
    }

    fn place_spawned(&self, own: &WorkerView<'_>) -> Place {
        self.place(own)
    }

    fn place_woken(&self, own: &WorkerView<'_>, _: WokenBy) -> Place {
        self.place(own)
    }

    fn next(&self, _: &WorkerView<'_>) -> Option<Source> {
        Some(Source::Ranked)
    }

    fn search(&self, thief: &SearchView<'_>) -> impl Iterator<Item = Attempt> {
        by_rank::search(thief)
    }
}
