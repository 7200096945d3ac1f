#![doc = include_str!("README.md")]

mod ranked;

use crossbeam_utils::CachePadded;
use runtime_core::Choice;
use runtime_core::task::Task;

use super::part::{Has, Install, own_seen, seen};
use crate::deque::{BATCH_LIMIT, Injector, retry};
use crate::policy::view::Shown;
use crate::policy::{Place, Policy};
use crate::scheduler::{Local, Shared};
use crate::seam::Hooks;
use crate::seam::facts::{Duty, Event, Pick, Queued, State};
use crate::seam::plan::Plan;
use ranked::RankedQueue;

/// The part.
#[derive(Debug)]
pub(crate) struct PolicyQueues {
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

/// The tasks that policies have queued for one worker.
#[derive(Default)]
pub(crate) struct Sorted {
    /// Lowest rank first, for all workers.
    ranked: CachePadded<RankedQueue>,
    /// Tasks that other workers have sent to this one, in a FIFO queue.
    inbox: CachePadded<Injector<Task>>,
}

impl State for PolicyQueues {
    type Local = ();
    type Remote = Sorted;
}

impl Install for PolicyQueues {
    type Settings = Settings;
    const CHOICE: &'static [Choice] = &[Choice {
        name: "policy-queues",
        about: "a policy ranks tasks, sends them to a worker, and places injected ones; without it the order is FIFO",
    }];

    fn new(settings: &Settings, _: &Plan) -> Self {
        Self {
            is_on: settings.is_on,
        }
    }

    fn leave_out(settings: &mut Settings) {
        settings.is_on = false;
    }
}

impl<H: Has<Self>> Hooks<H> for PolicyQueues {
    fn local(_: &Shared<H>, _: usize) {}

    #[inline]
    fn put(local: &Local<H>, place: Place, task: Task) -> Queued {
        if !local.shared.parts.part().is_on {
            return Queued::Nowhere(task);
        }
        match place {
            Place::Ranked(rank) => own_seen::<Self, H>(local).ranked.push(rank, task),
            Place::Worker(worker) if worker != local.index() => return send(local, worker, task),
            _ => own_seen::<Self, H>(local).inbox.push(task),
        }
        Queued::Here
    }

    #[inline]
    fn take(shared: &Shared<H>, worker: usize, pick: Pick) -> Option<Task> {
        let sorted = seen::<Self, H>(shared, worker);
        let sent = || retry(|| sorted.inbox.steal());
        match pick {
            Pick::First => sorted.ranked.pop_first(),
            Pick::Oldest => sorted.ranked.pop_oldest(),
            Pick::Sent => sent(),
            Pick::Kept => None,
            Pick::Any => sorted.ranked.pop_first().or_else(sent),
        }
    }

    #[inline]
    fn queued(shared: &Shared<H>, worker: usize, pick: Pick) -> usize {
        let sorted = seen::<Self, H>(shared, worker);
        match pick {
            Pick::First | Pick::Oldest => sorted.ranked.len(),
            Pick::Sent => sorted.inbox.len(),
            Pick::Kept => 0,
            Pick::Any => sorted.ranked.len() + sorted.inbox.len(),
        }
    }

    fn first_rank(shared: &Shared<H>, worker: usize) -> Option<u64> {
        seen::<Self, H>(shared, worker).ranked.first_rank()
    }

    #[inline]
    fn place_injected<P: Policy>(local: &Local<H>, policy: &P) {
        let shared = &local.shared;
        if P::PLACES_INJECTED && !shared.injector.is_empty() && shared.parts.part().is_on {
            place_some(local, policy);
        }
    }

    // Always inlined: the kind of event is a constant at each call, so the other cases vanish.
    #[inline(always)]
    fn observe(local: &Local<H>, event: Event) {
        if let Event::TookOver(stuck) = event {
            let sorted = seen::<Self, H>(&local.shared, stuck);
            sorted.ranked.move_to(&own_seen::<Self, H>(local).ranked);
            while let Some(task) = retry(|| sorted.inbox.steal()) {
                local.queues.fifo.push(task);
            }
        }
    }
}

/// Takes tasks from the injector and puts them where the policy says.
#[cold]
fn place_some<P: Policy, H: Has<PolicyQueues>>(local: &Local<H>, policy: &P) {
    let injector = &local.shared.injector;
    // Tasks that come back meanwhile wait for the next time.
    for _ in 0..BATCH_LIMIT.min(injector.len()) {
        let Some(task) = retry(|| injector.steal()) else {
            break;
        };
        let place = local.ask(|| policy.place_injected(&Shown::task(local, &task).view()));
        // Putting the task back into the injector would repeat this without end.
        let place = place.filter(|place| *place != Place::Shared);
        local.put(place.unwrap_or(Place::Back), task);
    }
}

/// Sends a task to another worker. If that worker is awake, the task stays in its inbox, where others may take it.
#[cold]
fn send<H: Has<PolicyQueues>>(local: &Local<H>, worker: usize, task: Task) -> Queued {
    let shared = &local.shared;
    let is_away = || H::duty(shared, worker) == Duty::Away;
    if worker >= shared.workers || is_away() {
        shared.share(task, true);
        return Queued::Elsewhere;
    }
    let inbox = &seen::<PolicyQueues, H>(shared, worker).inbox;
    inbox.push(task);
    if shared.idle.notify_worker(worker) {
        shared.unpark(worker);
        return Queued::Elsewhere;
    }
    // The fence of `notify_worker` is in between: either we see that the worker is away, or the thread that hands over
    // the worker's queues sees the task.
    if is_away() {
        while let Some(task) = retry(|| inbox.steal()) {
            shared.injector.push(task);
        }
        shared.wake_one();
        return Queued::Elsewhere;
    }
    Queued::Here
}
