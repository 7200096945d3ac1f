//! The counters of all workers, each one's and summed up.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use runtime_core::Metrics;
use runtime_core::metrics::WorkerMetrics;

use crate::remote::{Counters, Remote};
use crate::shared::Shared;

impl Remote {
    fn metrics(&self, now_ns: u64) -> WorkerMetrics {
        let counters = &self.counters;
        let mut metrics = WorkerMetrics::default();
        metrics.polls = counters.polls.load(Relaxed);
        metrics.steals_tried = counters.steals_tried.load(Relaxed);
        metrics.steals_done = counters.steals_done.load(Relaxed);
        metrics.tasks_stolen = counters.tasks_stolen.load(Relaxed);
        metrics.lifo_hits = counters.lifo_hits.load(Relaxed);
        metrics.parks = counters.parks.load(Relaxed);
        metrics.unparks = self.observed.unparks.load(Relaxed);
        metrics.io_polls = counters.io_polls.load(Relaxed);
        metrics.queue_depth = self.queue_depth() as u64;
        metrics.busy = Duration::from_nanos(counters.busy_ns(now_ns));
        metrics
    }
}

impl Shared {
    /// A snapshot; while the runtime runs, its figures need not be of one instant.
    pub(crate) fn metrics(&self) -> Metrics {
        let now_ns = self.now_ns();
        let all = self.reach().iter();
        let workers: Vec<_> = all.map(|worker| worker.metrics(now_ns)).collect();
        let sum_of_counters = |counter: fn(&Counters) -> &AtomicU64| -> u64 {
            let all = self.reach().iter();
            all.map(|worker| counter(&worker.counters).load(Relaxed))
                .sum()
        };
        // Ends first: a task that is spawned and ends meanwhile must not make the difference negative.
        let ended = sum_of_counters(|worker| &worker.finished)
            + self.batch_lane.finished.load(Relaxed)
            + self.counters.cancelled.load(Relaxed);
        let spawned =
            sum_of_counters(|worker| &worker.spawned) + self.counters.spawned.load(Relaxed);
        let sum = |field: fn(&WorkerMetrics) -> u64| -> Option<u64> {
            Some(workers.iter().map(field).sum())
        };
        let mut metrics = Metrics::default();
        metrics.live_tasks = Some(spawned.saturating_sub(ended));
        metrics.polls =
            sum(|worker| worker.polls).map(|polls| polls + self.batch_lane.polls.load(Relaxed));
        metrics.tasks_stolen = sum(|worker| worker.tasks_stolen);
        metrics.parks = sum(|worker| worker.parks);
        metrics.unparks = sum(|worker| worker.unparks);
        metrics.io_polls = sum(|worker| worker.io_polls);
        metrics.blocking_threads = Some(self.blocking.threads() as u64);
        metrics.hand_offs = Some(self.monitor.spares.hand_offs.load(Relaxed));
        metrics.stuck_polls = Some(self.monitor.report.stuck_polls.load(Relaxed));
        metrics.stuck_time = Some(Duration::from_nanos(
            self.monitor.report.stuck_ns.load(Relaxed),
        ));
        metrics.injected_depth = Some(self.injector.len() as u64);
        metrics.poll_time = self.clocks.as_ref().map(|clocks| clocks.poll_time());
        metrics.schedule_latency = self.clocks.as_ref().map(|clocks| clocks.schedule_latency());
        metrics.workers = workers;
        metrics
    }
}
