#![doc = include_str!("README.md")]
#![allow(unsafe_code)]

mod deque;
mod forker;
pub(crate) mod handle;
mod job;
mod latch;
mod scope;
mod stack;

use std::sync::Arc;
use std::time::Duration;

use crossbeam_utils::CachePadded;
use runtime_core::Choice;
use runtime_core::primitives::{Mutex, now, spin_loop};

use super::part::{Has, Install, own, seen};
use crate::deque::{Injector, retry};
use crate::scheduler::{Local, Shared};
use crate::seam::Hooks;
use crate::seam::facts::{Event, Origin, State};
use crate::seam::plan::Plan;
use job::JobRef;
use latch::Latch;
use stack::{Closures, Mark, Stealer};

/// The part.
pub(crate) struct ForkJoin {
    is_on: bool,
    /// Closures that non-worker threads have forked.
    injector: CachePadded<Injector<JobRef>>,
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

/// A worker's closures, as thieves see them. The closures are kept here while the worker has no thread.
pub(crate) struct Home {
    stealer: Stealer,
    closures: Mutex<Option<Closures>>,
}

impl Default for Home {
    fn default() -> Self {
        let closures = Closures::new();
        Self {
            stealer: closures.stealer(),
            closures: Mutex::new(Some(closures)),
        }
    }
}

/// A worker's closures, while it has a thread.
pub(crate) struct Lent {
    closures: Closures,
    home: Arc<Home>,
}

impl Drop for Lent {
    fn drop(&mut self) {
        let closures = std::mem::replace(&mut self.closures, Closures::new());
        *self.home.closures.lock() = Some(closures);
    }
}

impl State for ForkJoin {
    type Local = Lent;
    type Remote = Arc<Home>;
}

impl Install for ForkJoin {
    type Settings = Settings;
    const CHOICE: &'static [Choice] = &[Choice {
        name: "fork-join",
        about: "closures that are forked on a worker can be stolen; without it they run in order",
    }];

    fn new(settings: &Settings, _: &Plan) -> Self {
        Self {
            is_on: settings.is_on,
            injector: CachePadded::default(),
        }
    }

    fn leave_out(settings: &mut Settings) {
        settings.is_on = false;
    }
}

impl<H: Has<Self>> Hooks<H> for ForkJoin {
    fn local(shared: &Shared<H>, worker: usize) -> Lent {
        let home = Arc::clone(seen::<Self, H>(shared, worker));
        let closures = home.closures.lock().take();
        Lent {
            closures: closures.expect("a worker has one thread at a time"),
            home,
        }
    }

    #[inline]
    fn do_other_work(local: &Local<H>, origin: Origin) -> bool {
        let job = match origin {
            Origin::Own => closures(local).pop_since(Mark::BOTTOM),
            Origin::Outside => retry(|| local.shared.parts.part().injector.steal()),
            Origin::Worker(victim) => {
                let job = seen::<Self, H>(&local.shared, victim)
                    .stealer
                    .steal(|| false);
                job.inspect(|_| H::observe(local, Event::Stole(0)))
            }
        };
        let Some(job) = job else {
            return false;
        };
        local.found();
        H::observe(local, Event::OtherWorkBegins);
        run_stolen(local, job);
        H::observe(local, Event::OtherWorkEnds);
        true
    }

    #[inline]
    fn has_other_work(shared: &Shared<H>, origin: Origin) -> bool {
        match origin {
            Origin::Own => false,
            Origin::Outside => !shared.parts.part().injector.is_empty(),
            Origin::Worker(worker) => !seen::<Self, H>(shared, worker).stealer.is_empty(),
        }
    }

    // Always inlined: the kind of event is a constant at each call, so the other cases vanish.
    #[inline(always)]
    fn observe(local: &Local<H>, event: Event) {
        if let Event::Leaves = event {
            while let Some(job) = closures(local).pop_since(Mark::BOTTOM) {
                local.shared.parts.part().injector.push(job);
            }
        }
    }
}

/// Call this after a fork.
///
/// There is no fence here, so nothing pairs with the one in `Idle::sleep`: a fence would cost more than the rest of a
/// fork. It can miss a worker that announces its sleep within the same few nanoseconds. The closure is not lost,
/// because the forker takes it back. The next fork wakes that worker. If there is none and the forker is busy for long,
/// the monitor notices the poll and starts a worker that steals.
#[inline]
fn fork_woke<H: Has<ForkJoin>>(shared: &Shared<H>) {
    if shared.rules.steals && shared.idle.sleeping() > 0 {
        shared.wake_helper();
    }
}

/// The closures that the worker has forked.
#[inline]
fn closures<H: Has<ForkJoin>>(worker: &Local<H>) -> &Closures {
    &own::<ForkJoin, H>(worker).closures
}

/// How often a waiting worker checks for closures before it sleeps.
const SPINS: u32 = if cfg!(lab_shuttle) { 2 } else { 64 };

/// How long a waiting worker sleeps before it checks again for closures of others: their forks do not wake it.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Runs other closures until the latch is set: its own closures that were pushed `since` the wait began, and those of
/// other workers.
fn wait_for<H: Has<ForkJoin>>(worker: &Local<H>, latch: &Latch, since: Mark) {
    let closures = closures(worker);
    let mut idle_spins = 0;
    while !latch.is_set() {
        if let Some(job) = closures.pop_since(since) {
            idle_spins = 0;
            execute(worker, job);
        } else if let Some(job) = closures
            .may_nest()
            .then(|| steal_any(worker, latch))
            .flatten()
        {
            idle_spins = 0;
            closures.nest(|| run_stolen(worker, job));
        } else if idle_spins < SPINS {
            idle_spins += 1;
            spin_loop();
        } else {
            // It checks for others' closures from time to time. A model checker has no time.
            let looks_again = closures.may_nest() && !cfg!(lab_shuttle);
            let until = looks_again.then(|| now() + LOOK_AGAIN);
            latch.sleep(|| {
                worker.parker.park(until);
            });
        }
    }
}

/// Takes one forked closure of any worker, for a worker that waits for a closure that was stolen from it.
fn steal_any<H: Has<ForkJoin>>(worker: &Local<H>, latch: &Latch) -> Option<JobRef> {
    let shared = &worker.shared;
    let steal_from = |victim| {
        seen::<ForkJoin, H>(shared, victim)
            .stealer
            .steal(|| latch.is_set())
    };
    let injected = retry(|| shared.parts.part().injector.steal());
    injected.or_else(|| worker.victims().find_map(steal_from))
}

/// Runs a closure of another thread, and then those that it leaves in this worker's own deque: the worker that waits
/// for them may be asleep.
fn run_stolen<H: Has<ForkJoin>>(worker: &Local<H>, job: JobRef) {
    let since = closures(worker).mark();
    let mut next = Some(job);
    while let Some(job) = next {
        execute(worker, job);
        next = closures(worker).pop_since(since);
    }
}

fn execute<H: Has<ForkJoin>>(worker: &Local<H>, job: JobRef) {
    H::observe(worker, Event::OtherWorkDone);
    job.execute();
}
