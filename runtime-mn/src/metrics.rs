//! The counters of all workers, summed up.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use runtime_core::Metrics;

use crate::remote::Counters;
use crate::shared::Shared;

impl Shared {
    /// A snapshot; while the runtime runs, its figures need not be of one instant.
    pub(crate) fn metrics(&self) -> Metrics {
        let sum = |counter: fn(&Counters) -> &AtomicU64| -> u64 {
            self.remotes
                .iter()
                .map(|worker| counter(&worker.counters).load(Relaxed))
                .sum()
        };
        // Ends first: a task that is spawned and ends meanwhile must not make the difference negative.
        let ended = sum(|worker| &worker.finished) + self.counters.cancelled.load(Relaxed);
        let spawned = sum(|worker| &worker.spawned) + self.counters.spawned.load(Relaxed);
        let mut metrics = Metrics::default();
        metrics.live_tasks = Some(spawned.saturating_sub(ended));
        metrics.polls = Some(sum(|worker| &worker.polls));
        metrics.tasks_stolen = Some(sum(|worker| &worker.tasks_stolen));
        metrics.parks = Some(sum(|worker| &worker.parks));
        metrics.unparks = Some(self.counters.unparks.load(Relaxed));
        metrics.io_polls = Some(sum(|worker| &worker.io_polls));
        metrics.blocking_threads = Some(self.blocking.threads() as u64);
        metrics
    }
}
