//! Simulated time: which thread lets it pass, and when. The protocol is in `runtime_core::time`.

use runtime_core::Choice;
use runtime_core::primitives::MutexGuard;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::part::{Has, Install};
use crate::scheduler::{Local, Shared};
use crate::seam::Hooks;
use crate::seam::facts::{Duty, Origin, Pick, State};
use crate::seam::plan::Plan;

/// The part.
#[derive(Debug)]
pub(crate) struct SimulatedTime {
    is_on: bool,
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

impl State for SimulatedTime {
    type Local = ();
    type Remote = ();
}

impl Install for SimulatedTime {
    type Settings = Settings;
    const CHOICE: &'static [Choice] = &[Choice {
        name: "simulated-time",
        about: "advances simulated time when there is nothing to do",
    }];

    fn new(settings: &Settings, plan: &Plan) -> Self {
        let is_on = settings.is_on && plan.clock.is_simulated();
        if is_on {
            // The worker that waits in the reactor then checks whether time may pass.
            let reactor = Arc::downgrade(&plan.reactor);
            plan.clock.when_released(move || {
                let reactor = reactor.upgrade();
                reactor.inspect(|reactor| reactor.notify()).is_some()
            });
        }
        Self { is_on }
    }

    fn leave_out(settings: &mut Settings) {
        settings.is_on = false;
    }
}

impl<H: Has<Self>> Hooks<H> for SimulatedTime {
    fn local(_: &Shared<H>, _: usize) {}

    fn has_own_time(shared: &Shared<H>) -> bool {
        shared.parts.part().is_on
    }

    fn prepare_park(local: &Local<H>) -> Option<Instant> {
        if !local.shared.parts.part().is_on {
            return local.remote.timers.prepare_park();
        }
        // Another worker may fire it, and then nothing would end this worker's park.
        local.remote.timers.prepare_untimed_park();
        None
    }

    fn wait(local: &Local<H>, deadline: Option<Instant>) -> Option<Instant> {
        if !local.shared.parts.part().is_on {
            return local.wait_for_token(deadline);
        }
        let Some(token) = local.shared.poller.try_lock() else {
            // The worker that has the token may be waiting only for this worker.
            if all_idle(local) {
                local.shared.reactor.notify();
            }
            local.parker.park(None);
            return None;
        };
        local.remote.waking.wait_in_reactor(&local.parker, || {
            if !let_time_pass(local, &token) {
                local.poll_reactor(&token, None);
            }
        });
        None
    }
}

/// Whether no worker has anything to do. Other threads with work, such as the CPU-bound pool, hold the clock.
fn all_idle<H: Hooks>(local: &Local<H>) -> bool {
    let shared = &*local.shared;
    let active = || 0..shared.active().len();
    let working = active().filter(|worker| H::duty(shared, *worker) != Duty::Waits);
    shared.idle.all_asleep(working)
        && !shared.has_injected()
        && !H::has_kept(local)
        && !active().any(|worker| {
            shared.has_waiting(worker)
                || H::queued(shared, worker, Pick::Kept) > 0
                || H::has_other_work(shared, Origin::Worker(worker))
        })
}

/// Jumps to the next deadline if nothing is left to do. If it returns false, the caller can only wait, for a deadline
/// to be set or for the end of the work that keeps time from passing. The caller has the poller's token, so one worker
/// at a time gets here.
fn let_time_pass<H: Hooks>(local: &Local<H>, token: &MutexGuard<'_, ()>) -> bool {
    let shared = &*local.shared;
    // A poll of the reactor may have used up a notification: then the worker must check its queues before it waits.
    let mut looked = false;
    loop {
        // Before the workers: a job that has ended by now has queued the tasks that it woke.
        let Some(quiet) = shared.clock.quiet() else {
            return looked;
        };
        if !all_idle(local) {
            return looked;
        }
        let deadlines = shared.active().iter().filter_map(|it| it.timers.earliest());
        let Some(deadline) = deadlines.min() else {
            return looked;
        };
        // Take everything that is ready, because events that are left unreported are work, too.
        while local.poll_reactor(token, Some(Duration::ZERO)).0.is_full {}
        looked = true;
        if !all_idle(local) || !shared.clock.advance(quiet, deadline) {
            return true;
        }
        let fired: usize = shared
            .active()
            .iter()
            .map(|it| local.fire_due(&it.timers))
            .sum();
        if fired > 0 {
            return true;
        }
    }
}
