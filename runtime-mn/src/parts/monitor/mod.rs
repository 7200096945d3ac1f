#![doc = include_str!("README.md")]

pub(crate) mod block_in_place;
mod builder;
mod guard;
mod hand_off;
mod looks;
#[cfg(all(test, lab_loom))]
mod loom_tests;
mod observed;
mod report;
mod watch;

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use runtime_core::park::{Parker, Unparker};
use runtime_core::primitives::atomic::{
    AtomicBool,
    Ordering::{Relaxed, SeqCst},
    fence,
};
use runtime_core::primitives::{Mutex, thread, thread_local};
use runtime_core::trace::{ThreadKind, WorkerId, thread_is};
use runtime_core::{Choice, Knob, Metrics};

use crate::ending::own_this_thread;
use crate::parts::part::{Has, Install, own_seen, seen, switch};
use crate::policy::Knobs;
use crate::scheduler::{Local, Shared};
use crate::seam::Hooks;
use crate::seam::facts::{Duty, Ended, Event, SharedEvent, State};
use crate::seam::plan::Plan;
use crate::seam::plan::Unstarted;
use guard::CloseWatch;
pub(crate) use guard::POLLS_A_CLOCK;
use hand_off::Replacements;
use looks::Looks;
use observed::Observed;
pub use report::StuckPoll;
use report::{Callback, Report};

/// The part.
pub(crate) struct Monitor {
    is_on: bool,
    threshold: Duration,
    keep_alive: Duration,
    gate: Gate,
    close_watch: CloseWatch,
    replacements: Replacements,
    report: Report,
    unparker: Unparker,
    /// Until the thread takes it.
    parker: Mutex<Option<Parker>>,
}

/// What the builder was told.
#[derive(Clone)]
pub(crate) struct Settings {
    enabled: bool,
    /// A poll that lasts longer is stuck.
    threshold: Duration,
    max_replacements: usize,
    /// How long a replacement worker's thread waits to be needed again.
    keep_alive: Duration,
    warns: bool,
    callback: Option<Callback>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: true,
            threshold: Duration::from_millis(10),
            max_replacements: 8,
            keep_alive: Duration::from_secs(10),
            warns: true,
            callback: None,
        }
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("enabled", &self.enabled)
            .field("threshold", &self.threshold)
            .field("max_replacements", &self.max_replacements)
            .finish_non_exhaustive()
    }
}

impl State for Monitor {
    type Local = ();
    type Remote = Observed;
}

impl Install for Monitor {
    type Settings = Settings;
    const CHOICE: &'static [Choice] = &[Choice {
        name: "monitor",
        about: "finds what waits behind a poll, and hands the queues of a stuck worker to another one",
    }];
    const KNOBS: &'static [Knob] = &[Knob {
        name: "monitor",
        about: "whether a worker that is stuck in a poll hands its queues to another one",
        values: "on, off",
    }];

    fn adjust(settings: &Settings, knobs: &mut Knobs) {
        if !settings.enabled {
            // Nobody would see what waits behind a long poll.
            knobs.wake_delay = Duration::ZERO;
        }
    }

    fn new(settings: &Settings, plan: &Plan) -> Self {
        let parker = Parker::new();
        Self {
            is_on: settings.enabled,
            threshold: settings.threshold,
            keep_alive: settings.keep_alive,
            gate: Gate::new(),
            close_watch: CloseWatch::default(),
            replacements: Replacements::new(plan.extra_workers),
            unparker: parker.unparker(),
            parker: Mutex::new(settings.enabled.then_some(parker)),
            report: Report::new(settings.warns, settings.callback.clone()),
        }
    }

    fn extra_workers(settings: &Settings) -> usize {
        // With no thread that watches, `block_in_place` still needs some.
        settings.max_replacements
    }

    fn leave_out(settings: &mut Settings) {
        settings.enabled = false;
        settings.max_replacements = 0;
    }

    fn for_a_harness(settings: &mut Settings) {
        settings.warns = false;
    }

    fn turn(settings: &mut Settings, _: &str, value: &str) -> Option<()> {
        settings.enabled = switch(value)?;
        Some(())
    }
}

impl<H: Has<Self>> Hooks<H> for Monitor {
    fn local(_: &Shared<H>, _: usize) {}

    fn duty(shared: &Shared<H>, worker: usize) -> Duty {
        let observed = seen::<Self, H>(shared, worker);
        if observed.in_place.load(Relaxed) {
            Duty::Away
        } else if worker < shared.workers || observed.is_replacing.load(SeqCst) {
            Duty::Works
        } else {
            Duty::Waits
        }
    }

    #[inline]
    fn must_leave(local: &Local<H>) -> bool {
        local.index() >= local.shared.workers && local.shared.parts.part().retire_surplus()
    }

    fn live(local: &Local<H>, work: &dyn Fn()) -> Ended {
        own_seen::<Self, H>(local).set_thread();
        if local.index() < local.shared.workers {
            work();
            return Ended::WithTheRuntime;
        }
        hand_off::live(local, work)
    }

    fn take_back(shared: &Shared<H>, worker: Unstarted) {
        shared.parts.part().replacements.take_back(worker);
    }

    // Always: which event it is, is known at each call, and all else folds away.
    #[inline(always)]
    fn observe(local: &Local<H>, event: Event) {
        let observed = || own_seen::<Self, H>(local);
        match event {
            Event::PollBegins(task) => observed().begin(task.get()),
            Event::OtherWorkBegins => observed().begin(observed::NOT_A_TASK),
            Event::PollEnds | Event::OtherWorkEnds => observed().begin(0),
            Event::OtherWorkDone => observed().count_other_work(),
            Event::Sleeps(_) => observed().asleep.store(true, Relaxed),
            Event::Wakes(_) => {
                observed().asleep.store(false, Relaxed);
                // Either the monitor, before it sleeps, sees this worker awake, or we see that it sleeps; pairs with
                // the fence in `Gate::announce`.
                fence(SeqCst);
                let monitor = local.shared.parts.part();
                if monitor.gate.worker_woke() {
                    monitor.unparker.unpark();
                }
            }
            _ => {}
        }
    }

    fn observe_shared(shared: &Shared<H>, event: SharedEvent<'_>) {
        if let SharedEvent::Closed = event {
            shared.parts.part().unparker.unpark();
        }
    }

    fn report(shared: &Shared<H>, metrics: &mut Metrics) {
        let monitor = shared.parts.part();
        metrics.hand_offs = Some(monitor.replacements.hand_offs.load(Relaxed));
        metrics.stuck_polls = Some(monitor.report.stuck_polls.load(Relaxed));
        let stuck_ns = monitor.report.stuck_ns.load(Relaxed);
        metrics.stuck_time = Some(Duration::from_nanos(stuck_ns));
    }

    /// Starts the thread, if there is to be one.
    fn started(shared: &Arc<Shared<H>>) -> io::Result<()> {
        let Some(parker) = shared.parts.part().parker.lock().take() else {
            return Ok(());
        };
        if !shared.threads.admit(&shared.closed, false) {
            return Ok(());
        }
        let of_thread = Arc::clone(shared);
        let started = thread::Builder::new()
            .name(format!("{}-monitor", shared.threads.name))
            .spawn(move || {
                own_this_thread(Arc::as_ptr(&of_thread));
                let _role = thread_is(ThreadKind::Monitor, WorkerId::NONE);
                Looks::new(&of_thread).run(&parker);
                of_thread.threads.one_ended();
            });
        if started.is_err() {
            shared.threads.one_ended();
        }
        started.map(drop)
    }
}

impl Monitor {
    /// Whether whatever waits behind a poll is found within a fraction of a millisecond, so that a worker need not wake
    /// anybody for it.
    #[inline]
    pub(crate) fn watches_closely(&self) -> bool {
        self.close_watch.is_on()
    }

    /// From now on it is.
    pub(crate) fn watch_closely(&self) {
        if self.is_on && self.close_watch.begin() {
            self.unparker.unpark();
        }
    }

    /// Whether a replacement worker, which asks, has become one too many. If so it is counted off, and goes.
    #[inline]
    fn retire_surplus(&self) -> bool {
        self.replacements.retire_surplus()
    }
}

thread_local! {
    /// The thread is no worker, and nobody waits behind the task that it polls.
    static MAY_BLOCK: Cell<bool> = const { Cell::new(false) };
}

/// From now on [`block_in_place`](block_in_place::block_in_place) just calls its function on this thread.
pub(crate) fn may_block_on_this_thread() {
    MAY_BLOCK.set(true);
}

/// Changes whenever the worker gets something done.
fn progress<H: Has<Monitor>>(shared: &Shared<H>, worker: usize) -> u64 {
    let polls = shared.remotes[worker].polls.load(Relaxed);
    polls.wrapping_add(seen::<Monitor, H>(shared, worker).other_work())
}

/// The monitor's sleep.
#[derive(Debug)]
struct Gate {
    asleep: AtomicBool,
}

impl Gate {
    fn new() -> Self {
        Self {
            asleep: AtomicBool::new(false),
        }
    }

    /// The monitor announces that it sleeps. It must look at the workers once more before it does.
    fn announce(&self) {
        self.asleep.store(true, Relaxed);
        // Pairs with the fence of a worker that wakes up.
        fence(SeqCst);
    }

    fn take_back(&self) {
        self.asleep.store(false, Relaxed);
    }

    /// A worker woke up, and has a fence behind it. True: it must wake the monitor.
    fn worker_woke(&self) -> bool {
        self.asleep.load(Relaxed) && self.asleep.swap(false, Relaxed)
    }
}
