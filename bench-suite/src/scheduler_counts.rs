//! The schedulers' counters, restricted to the measured time.

use std::collections::BTreeMap;
use std::fmt;

use runtime_core::Metrics;
use runtime_core::metrics::WorkerMetrics;

/// The counters, by their names among a run's extra figures, with one line each.
pub(crate) const COUNTERS: [(&str, &str); 10] = [
    ("polls", "times that a task was polled"),
    (
        "steals_tried",
        "times that a worker looked into another one's queue",
    ),
    ("steals_done", "times that it found something there"),
    ("tasks_stolen", "tasks that it took there"),
    ("lifo_hits", "tasks run out of a LIFO slot"),
    ("parks", "times that a worker went to sleep"),
    (
        "unparks",
        "wake-ups: times that a sleeping worker was woken",
    ),
    ("io_polls", "times that the reactor was asked for readiness"),
    (
        "hand_offs",
        "times that a replacement worker took over from a stuck one",
    ),
    ("stuck_polls", "polls that were caught lasting too long"),
];

/// Reads a scheduler's counters at both ends of each timed repetition. Does nothing without a scheduler.
#[derive(Default)]
pub(crate) struct SchedulerCounts {
    source: Option<Box<dyn Fn() -> Metrics + Send>>,
    mark: [Option<u64>; COUNTERS.len()],
}

impl SchedulerCounts {
    pub(crate) fn of(source: impl Fn() -> Metrics + Send + 'static) -> Self {
        Self {
            source: Some(Box::new(source)),
            mark: [None; COUNTERS.len()],
        }
    }

    /// Begins a repetition.
    pub(crate) fn start(&mut self) {
        if let Some(source) = &self.source {
            self.mark = values(&source());
        }
    }

    /// Ends a repetition and adds what was counted in it to `extra`. Counters that the scheduler lacks are left out.
    pub(crate) fn stop(&mut self, extra: &mut BTreeMap<&'static str, f64>) {
        let Some(source) = &self.source else { return };
        let now = values(&source());
        for ((before, after), (name, _)) in self.mark.into_iter().zip(now).zip(COUNTERS) {
            if let (Some(before), Some(after)) = (before, after) {
                *extra.entry(name).or_default() += after.saturating_sub(before) as f64;
            }
        }
    }
}

impl fmt::Debug for SchedulerCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SchedulerCounts")
            .field("mark", &self.mark)
            .finish_non_exhaustive()
    }
}

/// The counters, in the order of [`COUNTERS`].
fn values(metrics: &Metrics) -> [Option<u64>; COUNTERS.len()] {
    let workers = |counter: fn(&WorkerMetrics) -> u64| {
        (!metrics.workers.is_empty()).then(|| metrics.workers.iter().map(counter).sum())
    };
    [
        metrics.polls,
        workers(|worker| worker.steals_tried),
        workers(|worker| worker.steals_done),
        metrics.tasks_stolen,
        workers(|worker| worker.lifo_hits),
        metrics.parks,
        metrics.unparks,
        metrics.io_polls,
        metrics.hand_offs,
        metrics.stuck_polls,
    ]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use crate::measure::Meter;

    use super::*;

    #[test]
    fn only_counts_from_measured_time_are_summed() {
        let steals = Arc::new(AtomicU64::new(100));
        let counted = Arc::clone(&steals);
        let mut meter = Meter::default();
        meter.counts_of(move || {
            let mut metrics = Metrics::default();
            let mut worker = WorkerMetrics::default();
            worker.steals_done = counted.load(Relaxed);
            metrics.workers = vec![worker.clone(), worker];
            metrics
        });
        for _ in 0..3 {
            steals.fetch_add(1000, Relaxed);
            meter.start();
            steals.fetch_add(5, Relaxed);
            meter.stop(1);
        }
        assert_eq!(meter.extra["steals_done"], 30.0);
        assert_eq!(meter.extra["lifo_hits"], 0.0);
        assert!(!meter.extra.contains_key("parks"), "nobody counts it");
    }
}
