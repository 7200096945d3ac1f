//! Counters of what the workers do, for each worker and in total.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use runtime_core::metrics::WorkerMetrics;
use runtime_core::primitives::now;
use runtime_core::{Choice, Metrics};

use super::part::{Has, Install, own_seen, seen};
use crate::counting::add;
use crate::scheduler::{Local, Shared};
use crate::seam::Hooks;
use crate::seam::facts::{Event, SharedEvent, State};
use crate::seam::plan::Plan;

/// The part.
#[derive(Debug)]
pub(crate) struct Counters {
    is_on: bool,
    /// The zero of its times.
    epoch: Instant,
    /// Only non-worker threads write these, and rarely.
    spawned: AtomicU64,
    polls: AtomicU64,
    finished: AtomicU64,
    cancelled: AtomicU64,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    is_on: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { is_on: true }
    }
}

/// One worker's counters.
#[derive(Debug, Default)]
pub(crate) struct OfWorker {
    own: CachePadded<Own>,
    /// Times that another thread woke it.
    unparks: AtomicU64,
}

/// Only the worker writes them (a load and a store each, no locked instruction); any thread may read them.
#[derive(Debug, Default)]
struct Own {
    spawned: AtomicU64,
    finished: AtomicU64,
    lifo_hits: AtomicU64,
    steals_tried: AtomicU64,
    steals_done: AtomicU64,
    tasks_stolen: AtomicU64,
    parks: AtomicU64,
    io_polls: AtomicU64,
    /// Time awake, up to the last sleep.
    busy_ns: AtomicU64,
    /// When the worker woke up; 0 while it sleeps.
    awake_since_ns: AtomicU64,
}

impl State for Counters {
    type Local = ();
    type Remote = OfWorker;
}

impl Install for Counters {
    type Settings = Settings;
    const CHOICE: &'static [Choice] = &[Choice {
        name: "counters",
        about: "counts what each worker does; the sums are the runtime's metrics",
    }];

    fn new(settings: &Settings, _: &Plan) -> Self {
        Self {
            is_on: settings.is_on,
            epoch: now(),
            spawned: AtomicU64::new(0),
            polls: AtomicU64::new(0),
            finished: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
        }
    }

    fn leave_out(settings: &mut Settings) {
        settings.is_on = false;
    }
}

impl<H: Has<Self>> Hooks<H> for Counters {
    fn local(_: &Shared<H>, _: usize) {}

    // Always inlined: the kind of event is a constant at each call, so the other cases vanish.
    #[inline(always)]
    fn observe(local: &Local<H>, event: Event) {
        let counters = local.shared.parts.part();
        if !counters.is_on {
            return;
        }
        let own = &own_seen::<Self, H>(local).own;
        match event {
            Event::Spawned => add(&own.spawned, 1),
            Event::Finished => add(&own.finished, 1),
            Event::SlotHit => add(&own.lifo_hits, 1),
            Event::StealTried(_) => add(&own.steals_tried, 1),
            Event::Stole(tasks) => {
                add(&own.steals_done, 1);
                add(&own.tasks_stolen, tasks as u64);
            }
            Event::ReactorPolled(..) => add(&own.io_polls, 1),
            Event::Sleeps(now) => {
                add(&own.parks, 1);
                let awake_since = own.awake_since_ns.swap(0, Relaxed);
                add(
                    &own.busy_ns,
                    counters.nanoseconds(now).saturating_sub(awake_since),
                );
            }
            Event::Wakes(now) => own
                .awake_since_ns
                .store(counters.nanoseconds(now).max(1), Relaxed),
            _ => {}
        }
    }

    fn observe_shared(shared: &Shared<H>, event: SharedEvent<'_>) {
        let counters = shared.parts.part();
        if !counters.is_on {
            return;
        }
        let counter = match event {
            SharedEvent::SpawnedOutside => &counters.spawned,
            SharedEvent::PolledOutside => &counters.polls,
            SharedEvent::FinishedOutside => &counters.finished,
            SharedEvent::Cancelled => &counters.cancelled,
            SharedEvent::Unparks(worker) => &seen::<Self, H>(shared, worker).unparks,
            _ => return,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// While the runtime runs, the figures need not be from one instant.
    fn report(shared: &Shared<H>, metrics: &mut Metrics) {
        let counters = shared.parts.part();
        if !counters.is_on {
            return;
        }
        let now_ns = counters.nanoseconds(now());
        let active = 0..shared.active().len();
        let workers: Vec<_> = active
            .map(|worker| of_worker(shared, worker, now_ns))
            .collect();
        let sum_of_own = |counter: fn(&Own) -> &AtomicU64| -> u64 {
            let active = 0..shared.active().len();
            active
                .map(|worker| counter(&seen::<Self, H>(shared, worker).own).load(Relaxed))
                .sum()
        };
        // The ends first: a task that is spawned and ends meanwhile must not make the difference negative.
        let ended = sum_of_own(|own| &own.finished)
            + counters.finished.load(Relaxed)
            + counters.cancelled.load(Relaxed);
        let spawned = sum_of_own(|own| &own.spawned) + counters.spawned.load(Relaxed);
        let sum = |field: fn(&WorkerMetrics) -> u64| Some(workers.iter().map(field).sum());
        metrics.live_tasks = Some(spawned.saturating_sub(ended));
        let outside = counters.polls.load(Relaxed);
        metrics.polls = sum(|worker| worker.polls).map(|polls: u64| polls + outside);
        metrics.tasks_stolen = sum(|worker| worker.tasks_stolen);
        metrics.parks = sum(|worker| worker.parks);
        metrics.unparks = sum(|worker| worker.unparks);
        metrics.io_polls = sum(|worker| worker.io_polls);
        metrics.injected_depth = Some(shared.injector.len() as u64);
        metrics.workers = workers;
    }
}

fn of_worker<H: Has<Counters>>(shared: &Shared<H>, worker: usize, now_ns: u64) -> WorkerMetrics {
    let of_worker = seen::<Counters, H>(shared, worker);
    let own = &of_worker.own;
    let mut metrics = WorkerMetrics::default();
    metrics.polls = shared.remotes[worker].polls.load(Relaxed);
    metrics.steals_tried = own.steals_tried.load(Relaxed);
    metrics.steals_done = own.steals_done.load(Relaxed);
    metrics.tasks_stolen = own.tasks_stolen.load(Relaxed);
    metrics.lifo_hits = own.lifo_hits.load(Relaxed);
    metrics.parks = own.parks.load(Relaxed);
    metrics.unparks = of_worker.unparks.load(Relaxed);
    metrics.io_polls = own.io_polls.load(Relaxed);
    metrics.queue_depth = shared.queued(worker) as u64;
    metrics.busy = Duration::from_nanos(own.busy_ns(now_ns));
    metrics
}

impl Counters {
    fn nanoseconds(&self, instant: Instant) -> u64 {
        instant.duration_since(self.epoch).as_nanos() as u64
    }
}

impl Own {
    /// How long the worker was awake in total.
    fn busy_ns(&self, now_ns: u64) -> u64 {
        let until_last_sleep = self.busy_ns.load(Relaxed);
        match self.awake_since_ns.load(Relaxed) {
            0 => until_last_sleep,
            since => until_last_sleep + now_ns.saturating_sub(since),
        }
    }
}
