//! How long polls take, and how long tasks wait for theirs: only on request, as it costs two clock readings for each
//! poll.

use std::sync::atomic::{
    AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use runtime_core::metrics::DurationHistogram;
use runtime_core::task::{Ran, Task, TaskId};

use crate::remote::add;

/// Buckets by powers of two: up to 9 minutes.
const BUCKETS: usize = 40;
/// A sampled task that has not run by then was cancelled, or has moved to where nobody looks.
const FORGET_NS: u64 = 10_000_000_000;

#[derive(Debug)]
pub(crate) struct Clocks {
    epoch: Instant,
    workers: Box<[CachePadded<OfWorker>]>,
}

/// Written by one worker; but a sample is cleared by whoever runs its task.
#[derive(Debug, Default)]
struct OfWorker {
    poll_time: Histogram,
    schedule_latency: Histogram,
    /// One task at a time is timed from its wake-up to its poll; 0 for none.
    sampled: AtomicUsize,
    due_since_ns: AtomicU64,
}

#[derive(Debug)]
struct Histogram {
    counts: [AtomicU64; BUCKETS],
    sum_ns: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: [const { AtomicU64::new(0) }; BUCKETS],
            sum_ns: AtomicU64::new(0),
        }
    }
}

impl Histogram {
    fn record(&self, nanoseconds: u64) {
        let bucket = (u64::BITS - nanoseconds.leading_zeros()) as usize;
        add(&self.counts[bucket.min(BUCKETS - 1)], 1);
        add(&self.sum_ns, nanoseconds);
    }
}

impl Clocks {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            epoch: Instant::now(),
            workers: (0..workers).map(|_| CachePadded::default()).collect(),
        }
    }

    fn now_ns(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }

    /// A task was queued by this worker: it is timed, unless another one is.
    pub(crate) fn queued(&self, worker: usize, task: TaskId) {
        let own = &self.workers[worker];
        let now = self.now_ns();
        // It has ended unpolled: this is another task in its memory.
        for queuer in &self.workers {
            if queuer.sampled.load(Relaxed) == task.get() {
                queuer.sampled.store(0, Relaxed);
            }
        }
        if own.sampled.load(Relaxed) == 0
            || now.saturating_sub(own.due_since_ns.load(Relaxed)) > FORGET_NS
        {
            own.due_since_ns.store(now, Relaxed);
            // Release: with the time; pairs with the load in `measure`.
            own.sampled.store(task.get(), Release);
        }
    }

    /// Runs the task, and records what it took.
    pub(crate) fn measure(&self, worker: usize, task: Task) -> Ran {
        let own = &self.workers[worker];
        let id = task.id().get();
        let began = self.now_ns();
        for queuer in &self.workers {
            if queuer.sampled.load(Acquire) == id {
                let due_since = queuer.due_since_ns.load(Relaxed);
                queuer.sampled.store(0, Relaxed);
                own.schedule_latency.record(began.saturating_sub(due_since));
            }
        }
        let ran = task.run();
        own.poll_time.record(self.now_ns().saturating_sub(began));
        ran
    }

    pub(crate) fn poll_time(&self) -> DurationHistogram {
        self.sum(|worker| &worker.poll_time)
    }

    pub(crate) fn schedule_latency(&self) -> DurationHistogram {
        self.sum(|worker| &worker.schedule_latency)
    }

    fn sum(&self, histogram: fn(&OfWorker) -> &Histogram) -> DurationHistogram {
        let all = || self.workers.iter().map(|worker| histogram(worker));
        DurationHistogram {
            counts: (0..BUCKETS)
                .map(|bucket| all().map(|one| one.counts[bucket].load(Relaxed)).sum())
                .collect(),
            sum: Duration::from_nanos(all().map(|one| one.sum_ns.load(Relaxed)).sum()),
        }
    }
}
