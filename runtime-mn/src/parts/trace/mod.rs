//! Reports what the scheduler does to the [recorder](runtime_core::trace), during a recording.

use std::cell::Cell;

use runtime_core::Choice;
use runtime_core::task::TaskId;
use runtime_core::trace::{self, Fact, Queue, ThreadKind, WorkerId};

use super::part::{Has, Install, own};
use crate::policy::Place;
use crate::scheduler::{Local, Shared};
use crate::seam::Hooks;
use crate::seam::facts::{Ended, Event, SharedEvent, State};
use crate::seam::plan::Plan;

/// The part.
#[derive(Debug)]
pub(crate) struct Trace {
    is_on: bool,
    /// Distinguishes this runtime's workers from those of other runtimes.
    runtime: u32,
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

/// A worker's own state.
#[derive(Debug, Default)]
pub(crate) struct OfWorker {
    /// The worker that it tries to steal from.
    victim: Cell<usize>,
}

impl State for Trace {
    type Local = OfWorker;
    type Remote = ();
}

impl Install for Trace {
    type Settings = Settings;
    const CHOICE: &'static [Choice] = &[Choice {
        name: "trace",
        about: "reports what the workers do to the recorder, during a recording",
    }];

    fn new(settings: &Settings, _: &Plan) -> Self {
        Self {
            is_on: settings.is_on,
            runtime: trace::next_runtime(),
        }
    }

    fn leave_out(settings: &mut Settings) {
        settings.is_on = false;
    }
}

impl<H: Has<Self>> Hooks<H> for Trace {
    fn local(_: &Shared<H>, _: usize) -> OfWorker {
        OfWorker::default()
    }

    fn live(local: &Local<H>, work: &dyn Fn()) -> Ended {
        let worker = worker(&local.shared, local.index());
        let _role = trace::thread_is(ThreadKind::Worker, worker);
        work();
        Ended::WithTheRuntime
    }

    // Always inlined: the kind of event is a constant at each call, so the other cases vanish.
    #[inline(always)]
    fn observe(local: &Local<H>, event: Event) {
        let is_followed = matches!(
            event,
            Event::Queued(..)
                | Event::StealTried(_)
                | Event::Stole(_)
                | Event::ReactorPolled(..)
                | Event::Sleeps(_)
                | Event::Wakes(_)
                | Event::RanOut
                | Event::TookOver(_)
        );
        if is_followed && trace::is_on() {
            match event {
                Event::Queued(task, place) => say_queued(local, task, place),
                _ => say(local, event),
            }
        }
    }

    #[inline(always)]
    fn observe_shared(shared: &Shared<H>, event: SharedEvent<'_>) {
        let is_followed = matches!(event, SharedEvent::Injected(_) | SharedEvent::Unparks(_));
        if is_followed && trace::is_on() {
            say_shared(shared, event);
        }
    }
}

fn worker<H: Has<Trace>>(shared: &Shared<H>, index: usize) -> WorkerId {
    WorkerId::new(shared.parts.part().runtime, index)
}

/// Reports where the worker has put a task.
#[cold]
#[inline(never)]
fn say_queued<H: Has<Trace>>(local: &Local<H>, task: TaskId, place: Place) {
    if !local.shared.parts.part().is_on {
        return;
    }
    let (queue, owner) = match place {
        Place::Slot => (Queue::Slot, WorkerId::NONE),
        Place::Newest => (Queue::Lifo, WorkerId::NONE),
        Place::Back | Place::Ranked(_) => (Queue::Fifo, WorkerId::NONE),
        Place::Shared => (Queue::Injector, WorkerId::NONE),
        Place::Worker(index) => (Queue::Inbox, worker(&local.shared, index)),
    };
    trace::note(Fact::Queued(task, queue, owner));
}

#[cold]
#[inline(never)]
fn say<H: Has<Trace>>(local: &Local<H>, event: Event) {
    if !local.shared.parts.part().is_on {
        return;
    }
    let victim = &own::<Trace, H>(local).victim;
    let worker = |index| worker(&local.shared, index);
    trace::note(match event {
        Event::StealTried(index) => return victim.set(index),
        Event::Stole(tasks) => Fact::Stole(worker(victim.get()), tasks),
        Event::ReactorPolled(polled, _) => Fact::IoPolled(polled.sockets),
        // The reports of the poller show that the worker waits in it.
        Event::Sleeps(_) => Fact::Parks(false),
        Event::Wakes(_) => Fact::Unparked,
        Event::RanOut => Fact::Searches,
        Event::TookOver(stuck) => Fact::HandedOff(worker(stuck), worker(local.index())),
        _ => return,
    });
}

#[cold]
#[inline(never)]
fn say_shared<H: Has<Trace>>(shared: &Shared<H>, event: SharedEvent<'_>) {
    if !shared.parts.part().is_on {
        return;
    }
    trace::note(match event {
        SharedEvent::Injected(task) => Fact::Queued(task, Queue::Injector, WorkerId::NONE),
        SharedEvent::Unparks(index) => Fact::Unparks(worker(shared, index)),
        _ => return,
    });
}
