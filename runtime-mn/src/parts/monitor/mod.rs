#![doc = include_str!("README.md")]

pub(crate) mod block_in_place;
mod builder;
mod gate;
mod guard;
mod hand_off;
mod looks;
#[cfg(all(test, lab_loom))]
mod loom_tests;
pub(crate) mod may_block;
mod observed;
mod replacements;
mod report;
mod state;
mod watch;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use runtime_core::park::Parker;
use runtime_core::primitives::atomic::{
    Ordering::{Relaxed, SeqCst},
    fence,
};
use runtime_core::primitives::{Mutex, thread};
use runtime_core::task::home;
use runtime_core::trace::{ThreadKind, WorkerId, thread_is};
use runtime_core::{Choice, Knob, Metrics};

use super::part::{Has, Install, own_seen, seen, switch};
use crate::ending::own_this_thread;
use crate::policy::Knobs;
use crate::scheduler::{Local, Shared};
use crate::seam::Hooks;
use crate::seam::facts::{Duty, Ended, Event, SharedEvent};
use crate::seam::plan::{Plan, Unstarted};
use gate::Gate;
use guard::CloseWatch;
pub(crate) use guard::POLLS_PER_CLOCK_READ;
use looks::Looks;
use replacements::Replacements;
use report::Report;
pub use report::StuckPoll;
pub(crate) use state::Monitor;
use state::Settings;

impl Install for Monitor {
    type Settings = Settings;
    const CHOICE: &'static [Choice] = &[Choice {
        name: "monitor",
        about: "finds tasks that wait behind a long poll, and hands off the queues of a stuck worker",
    }];
    const KNOBS: &'static [Knob] = &[Knob {
        name: "monitor",
        about: "whether a worker that is stuck in a poll hands its queues to another one",
        values: "on, off",
    }];

    fn adjust(settings: &Settings, knobs: &mut Knobs) {
        if !settings.enabled {
            // Nothing would find the tasks that wait behind a long poll.
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
        // Without a watching thread, `block_in_place` still needs replacement workers.
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
        let is_replacement = local.index() >= local.shared.workers;
        is_replacement
            && may_leave(local)
            && local.shared.parts.part().replacements.retire_surplus()
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

    // Always inlined: the kind of event is a constant at each call, so the other cases vanish.
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

    /// Starts the monitor's thread, if there is one.
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

/// Whether the calling replacement worker may end if it is not needed any more: not while tasks are pinned to it.
fn may_leave<H: Has<Monitor>>(local: &Local<H>) -> bool {
    let has_pinned = home::pinned_here() > 0;
    own_seen::<Monitor, H>(local)
        .has_pinned
        .store(has_pinned, Relaxed);
    !has_pinned
}
