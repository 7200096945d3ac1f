//! How long polls take, and how long tasks wait for them. It is off by default, because it costs two clock readings
//! per poll.

mod builder;

use std::sync::atomic::{
    AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use runtime_core::metrics::DurationHistogram;
use runtime_core::primitives::now;
use runtime_core::task::{Ran, Task, TaskId};
use runtime_core::{Choice, Metrics};

use crate::counting::add;
use crate::parts::part::{Has, Install, seen};
use crate::scheduler::{Local, Shared};
use crate::seam::Hooks;
use crate::seam::facts::{Event, State};
use crate::seam::plan::Plan;

/// Buckets by powers of two: up to 9 minutes.
const BUCKETS: usize = 40;
/// A sampled task that has not run by then was cancelled, or has moved to where it is not measured.
const FORGET_NS: u64 = 10_000_000_000;

/// The part. `None` unless it is enabled.
#[derive(Debug)]
pub(crate) struct Histograms {
    epoch: Option<Instant>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(super) is_on: bool,
}

#[derive(Debug, Default)]
pub(crate) struct OfWorker(CachePadded<Timed>);

/// Only one worker writes it, except that the worker that runs the sampled task clears the sample.
#[derive(Debug, Default)]
struct Timed {
    poll_time: Histogram,
    schedule_latency: Histogram,
    /// One task at a time is timed from its wake-up to its poll; 0 if none is.
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

impl State for Histograms {
    type Local = ();
    type Remote = OfWorker;
}

impl Install for Histograms {
    type Settings = Settings;
    const CHOICE: &'static [Choice] = &[Choice {
        name: "histograms",
        about: "measures how long polls take and how long tasks wait for them, if enabled in the builder",
    }];

    fn new(settings: &Settings, _: &Plan) -> Self {
        Self {
            epoch: settings.is_on.then(now),
        }
    }

    fn leave_out(settings: &mut Settings) {
        settings.is_on = false;
    }
}

impl<H: Has<Self>> Hooks<H> for Histograms {
    fn local(_: &Shared<H>, _: usize) {}

    // Always inlined: the kind of event is a constant at each call, so the other cases vanish.
    #[inline(always)]
    fn observe(local: &Local<H>, event: Event) {
        if let Event::Queued(task, _) = event
            && let Some(epoch) = local.shared.parts.part().epoch
        {
            queued(local, task, now_ns(epoch));
        }
    }

    #[inline]
    fn poll(local: &Local<H>, task: Task) -> Ran {
        match local.shared.parts.part().epoch {
            None => task.run(),
            Some(epoch) => measure(local, task, epoch),
        }
    }

    fn report(shared: &Shared<H>, metrics: &mut Metrics) {
        if shared.parts.part().epoch.is_some() {
            metrics.poll_time = Some(sum(shared, |timed| &timed.poll_time));
            metrics.schedule_latency = Some(sum(shared, |timed| &timed.schedule_latency));
        }
    }
}

fn now_ns(epoch: Instant) -> u64 {
    now().duration_since(epoch).as_nanos() as u64
}

fn timed<H: Has<Histograms>>(shared: &Shared<H>) -> impl Iterator<Item = &Timed> {
    let workers = 0..shared.active().len();
    workers.map(|worker| &*seen::<Histograms, H>(shared, worker).0)
}

/// Call this when this worker has queued a task: the task is timed, unless another one is.
#[cold]
fn queued<H: Has<Histograms>>(local: &Local<H>, task: TaskId, now: u64) {
    let own = &seen::<Histograms, H>(&local.shared, local.index()).0;
    // If its number is in a sample, that task has ended unpolled, and this is another task in its memory.
    for queuer in timed(&local.shared) {
        if queuer.sampled.load(Relaxed) == task.get() {
            queuer.sampled.store(0, Relaxed);
        }
    }
    if own.sampled.load(Relaxed) == 0
        || now.saturating_sub(own.due_since_ns.load(Relaxed)) > FORGET_NS
    {
        own.due_since_ns.store(now, Relaxed);
        // Release: publishes the time; pairs with the load in `measure`.
        own.sampled.store(task.get(), Release);
    }
}

/// Runs the task, and records the times.
#[cold]
fn measure<H: Has<Histograms>>(local: &Local<H>, task: Task, epoch: Instant) -> Ran {
    let own = &seen::<Histograms, H>(&local.shared, local.index()).0;
    let id = task.id().get();
    let began = now_ns(epoch);
    for queuer in timed(&local.shared) {
        if queuer.sampled.load(Acquire) == id {
            let due_since = queuer.due_since_ns.load(Relaxed);
            queuer.sampled.store(0, Relaxed);
            own.schedule_latency.record(began.saturating_sub(due_since));
        }
    }
    let ran = task.run();
    own.poll_time.record(now_ns(epoch).saturating_sub(began));
    ran
}

fn sum<H: Has<Histograms>>(
    shared: &Shared<H>,
    histogram: fn(&Timed) -> &Histogram,
) -> DurationHistogram {
    let all = || timed(shared).map(histogram);
    DurationHistogram {
        counts: (0..BUCKETS)
            .map(|bucket| all().map(|one| one.counts[bucket].load(Relaxed)).sum())
            .collect(),
        sum: Duration::from_nanos(all().map(|one| one.sum_ns.load(Relaxed)).sum()),
    }
}
