//! Levels, with ageing.

use core::time::Duration;

use crate::by_rank;
use crate::{Attempt, Knobs, Place, Policy, SearchView, Source, WokenBy, WorkerView};

/// A task's tag is its level; higher levels run first. A task without a tag has the lowest level, 0. A tag above the
/// highest level counts as the highest.
///
/// A task that has waited for `ageing` counts as one level higher. Tasks of a lower level are therefore late by at
/// most `ageing` per level, and none starves. The rank expresses this without updates: it is the time at which the
/// task would have had to arrive to be first at the highest level. A thief steals from the worker whose first task is
/// the most urgent.
///
/// Sources: Linux, `kernel/sched/rt.c` (levels); Silberschatz and Galvin, "Operating System Concepts" (ageing).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priority {
    /// The number of levels, from 0. Zero counts as one.
    pub levels: u32,
    /// How long a task waits until it counts as one level higher.
    pub ageing: Duration,
}

impl Default for Priority {
    /// 8 levels, and 10 ms.
    fn default() -> Self {
        Self {
            levels: 8,
            ageing: Duration::from_millis(10),
        }
    }
}

impl Priority {
    fn place(&self, own: &WorkerView<'_>) -> Place {
        let highest = self.levels.saturating_sub(1);
        let below_highest = highest - own.task().tag().min(highest);
        // Even if it is very long, levels stay distinct, and the time does not overflow.
        let longest_ns = u64::MAX / 2 / u64::from(self.levels.max(1));
        let ageing_ns = self.ageing.as_nanos().min(longest_ns.into()) as u64;
        Place::Ranked(
            own.now_ns()
                .saturating_add(ageing_ns * u64::from(below_highest)),
        )
    }
}

impl Policy for Priority {
    const PLACES_INJECTED: bool = true;

    fn name(&self) -> &'static str {
        "priority"
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
