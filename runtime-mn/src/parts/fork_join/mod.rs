#![doc = include_str!("README.md")]
#![allow(unsafe_code)]

pub(crate) mod handle;
mod job;
mod latch;
mod scope;
mod stack;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use runtime_core::park::Parker;
use runtime_core::primitives::{Mutex, spin_loop};
use runtime_core::unwind::{AbortOnUnwind, Held, hand_on_both};
use runtime_core::{Choice, Scope, Sequential};

use super::part::{Has, Install, own, seen};
use crate::current::is_away_from;
use crate::deque::{Injector, Stealer, retry};
use crate::scheduler::{Local, Shared};
use crate::seam::Hooks;
use crate::seam::facts::{Event, Origin, State};
use crate::seam::plan::Plan;
use job::{JobRef, StackJob};
use latch::Latch;
use stack::{Closures, Mark};

/// The part.
pub(crate) struct ForkJoin {
    is_on: bool,
    /// Closures that threads which are no workers have forked.
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

/// A worker's closures, as thieves see them, and where they are while the worker has no thread.
pub(crate) struct Home {
    stealer: Stealer<JobRef>,
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
                let job = retry(|| seen::<Self, H>(&local.shared, victim).stealer.steal());
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

    // Always: which event it is, is known at each call, and all else folds away.
    #[inline(always)]
    fn observe(local: &Local<H>, event: Event) {
        if let Event::Leaves = event {
            while let Some(job) = closures(local).pop_since(Mark::BOTTOM) {
                local.shared.parts.part().injector.push(job);
            }
        }
    }
}

/// Fork-join on the workers of a scheduler.
pub(crate) struct Forker<H: Has<ForkJoin>> {
    shared: Arc<Shared<H>>,
}

impl<H: Has<ForkJoin>> Clone for Forker<H> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.shared))
    }
}

impl<H: Has<ForkJoin>> Forker<H> {
    pub(crate) fn new(shared: Arc<Shared<H>>) -> Self {
        Self { shared }
    }

    /// Calls `body` on a worker: the calling thread if it is one. It gets `None`, on this thread, with no worker
    /// left, or where the calling thread's worker blocks in place, whose task no other worker need come by to help.
    fn on_worker<R: Send>(&self, body: impl FnOnce(Option<&Local<H>>) -> R + Send) -> R {
        if !self.shared.parts.part().is_on {
            return body(None);
        }
        if let Some(worker) = Local::current(&self.shared) {
            return body(Some(worker));
        }
        if self.shared.closed.load(Relaxed) || is_away_from(Arc::as_ptr(&self.shared).cast()) {
            return body(None);
        }
        let parker = Parker::new();
        let job = StackJob::new(
            || body(Local::current(&self.shared)),
            Latch::of_thread(parker.unparker()),
        );
        let borrowed = AbortOnUnwind::new("a worker runs a closure of another thread's");
        // SAFETY: once, and the thread stays in this frame until the latch is set, or ends the process.
        let reference = unsafe { job.reference() };
        self.shared.parts.part().injector.push(reference);
        // Either an ending worker sees the closure, or we see that the runtime has closed; see `Closed`.
        if self.shared.closed.since_push() {
            run_injected(&self.shared);
        } else {
            self.shared.wake_one();
        }
        while !job.latch.is_set() {
            parker.park(None);
        }
        borrowed.disarm();
        match job.into_outcome() {
            Ok(result) => result,
            Err(payload) => resume_unwind(payload),
        }
    }
}

/// Runs the closures that were forked outside, on the calling thread, whatever it is.
fn run_injected<H: Has<ForkJoin>>(shared: &Shared<H>) {
    while let Some(job) = retry(|| shared.parts.part().injector.steal()) {
        job.execute();
    }
}

/// A closure was forked. Without a fence: if a worker that is just going to sleep is missed, the forker runs the
/// closure itself, and the next fork wakes.
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

impl<H: Has<ForkJoin>> runtime_core::ForkJoin for Forker<H> {
    #[inline]
    fn join<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA + Send,
        B: FnOnce() -> RB + Send,
        RA: Send,
        RB: Send,
    {
        self.on_worker(|worker| match worker {
            Some(worker) => join_on(worker, a, b),
            None => Sequential.join(a, b),
        })
    }

    fn scope<'env, F, R>(&'env self, body: F) -> R
    where
        F: FnOnce(&dyn Scope<'env>) -> R + Send,
        R: Send,
    {
        self.on_worker(|worker| match worker {
            Some(worker) => scope::run(worker, body),
            None => Sequential.scope(body),
        })
    }
}

#[inline]
fn join_on<H, A, B, RA, RB>(worker: &Local<H>, a: A, b: B) -> (RA, RB)
where
    H: Has<ForkJoin>,
    A: FnOnce() -> RA,
    B: FnOnce() -> RB + Send,
    RB: Send,
{
    let since = closures(worker).mark();
    let job = StackJob::new(b, Latch::of_worker(worker));
    let borrowed = AbortOnUnwind::new("another worker may run a forked closure");
    // SAFETY: once, and the thread stays in this frame until it is taken back or the latch is set, or ends the
    // process.
    closures(worker).push(unsafe { job.reference() });
    fork_woke(&worker.shared);
    let a = catch_unwind(AssertUnwindSafe(a));
    let taken = loop {
        match closures(worker).pop_since(since) {
            Some(top) if top.is_of(&job) => break false,
            // A closure of a scope that was opened further up.
            Some(other) => other.execute(),
            None => {
                wait_for(worker, &job.latch, since);
                break true;
            }
        }
    };
    borrowed.disarm();
    match (a, taken) {
        (Ok(a), false) => {
            let a = Held::new(a);
            let b = job.call();
            (a.release(), b)
        }
        (Err(payload), false) => {
            job.give_up();
            resume_unwind(payload)
        }
        (a, true) => hand_on_both(a, job.into_outcome()),
    }
}

/// How often a waiting worker looks for closures before it sleeps.
const SPINS: u32 = if cfg!(lab_shuttle) { 2 } else { 64 };

/// How long a waiting worker sleeps before it looks again for what others have forked meanwhile. Nobody tells it.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Runs other closures until the latch is set: those that were pushed `since` the wait's own, and those of other
/// workers.
fn wait_for<H: Has<ForkJoin>>(worker: &Local<H>, latch: &Latch, since: Mark) {
    let closures = closures(worker);
    let mut idle_spins = 0;
    while !latch.is_set() {
        if let Some(job) = closures.pop_since(since) {
            idle_spins = 0;
            execute(worker, job);
        } else if let Some(job) = closures.may_nest().then(|| steal_any(worker)).flatten() {
            idle_spins = 0;
            closures.nest(|| run_stolen(worker, job));
        } else if idle_spins < SPINS {
            idle_spins += 1;
            spin_loop();
        } else {
            // It looks for others' closures from time to time. A model checker has no time.
            let looks_again = closures.may_nest() && !cfg!(lab_shuttle);
            let until = looks_again.then(|| Instant::now() + LOOK_AGAIN);
            latch.sleep(|| {
                worker.parker.park(until);
            });
        }
    }
}

/// Takes one forked closure of anybody's, for a worker that waits for one which was stolen from it.
fn steal_any<H: Has<ForkJoin>>(worker: &Local<H>) -> Option<JobRef> {
    let shared = &worker.shared;
    let steal_from = |victim| retry(|| seen::<ForkJoin, H>(shared, victim).stealer.steal());
    let injected = retry(|| shared.parts.part().injector.steal());
    injected.or_else(|| worker.victims().find_map(steal_from))
}

/// Runs a closure of another thread's, and what it leaves in this worker's own deque: whoever waits for that may be
/// asleep.
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
