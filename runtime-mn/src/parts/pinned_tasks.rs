//! Tasks that are pinned to the worker that began them: they have their own stack, which must not move to another
//! thread.
//!
//! A pinned task is queued only for its worker: the worker itself puts it into its own queue, and all other threads
//! put it into the worker's inbox. Thieves, hand-off and the CPU-bound pool don't touch these two. While the worker is
//! stuck in a poll, or its task blocks in place, its pinned tasks wait; a replacement worker takes over all other
//! tasks. A replacement worker to which tasks are pinned continues until they have ended.
//!
//! **No wake-up is lost**: a thread that puts a task into the inbox then checks whether the worker sleeps, as in
//! [`Idle::notify_worker`](crate::scheduler::idle::Idle::notify_worker), and the worker checks its inbox after it has
//! announced that it sleeps.
//!
//! **At the end** of the runtime, a task that another worker's sweep finds is sent home, and dropped there: a worker
//! ends only after its pinned tasks.
//!
//! **Without this part** a worker declares that it [pins none](home::pins_none). A task that would have to be pinned
//! then ends in its first poll, with an error.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;

use crossbeam_utils::CachePadded;
use runtime_core::Choice;
use runtime_core::primitives::now;
use runtime_core::task::Task;
use runtime_core::task::home;

use super::part::{Has, Install, own, own_seen, seen};
use crate::deque::{Injector, retry};
use crate::policy::Place;
use crate::scheduler::shutdown::FOREIGN_WAKER_TIMEOUT;
use crate::scheduler::{Local, Shared};
use crate::seam::Hooks;
use crate::seam::facts::{Event, Pick, SharedEvent, State};
use crate::seam::plan::Plan;

/// The part.
#[derive(Debug)]
pub(crate) struct PinnedTasks {
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

/// The worker's own part of the state.
#[derive(Default)]
pub(crate) struct OwnPinned {
    /// The tasks that this worker itself has woken, oldest first.
    due: RefCell<VecDeque<Task>>,
    /// Whether the last task was a pinned one: then it is the turn of another task.
    had_turn: Cell<bool>,
}

impl State for PinnedTasks {
    type Local = OwnPinned;
    /// The tasks that others have woken. Only the worker takes from it.
    type Remote = CachePadded<Injector<Task>>;
}

impl Install for PinnedTasks {
    type Settings = Settings;
    const CHOICE: &'static [Choice] = &[Choice {
        name: "pinned-tasks",
        about: "green tasks, which have their own stack, stay on their worker; without it they are refused",
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

impl<H: Has<Self>> Hooks<H> for PinnedTasks {
    fn local(shared: &Shared<H>, worker: usize) -> OwnPinned {
        if shared.parts.part().is_on {
            home::set_worker(u32::try_from(worker + 1).expect("few workers"));
        }
        OwnPinned::default()
    }

    #[inline]
    fn divert(shared: &Arc<Shared<H>>, task: Task) -> Option<Task> {
        match home_of(&task) {
            None => Some(task),
            Some(worker) => {
                put(shared, worker, task);
                None
            }
        }
    }

    #[inline]
    fn queued(shared: &Shared<H>, worker: usize, pick: Pick) -> usize {
        match pick {
            Pick::Kept => seen::<Self, H>(shared, worker).len(),
            _ => 0,
        }
    }

    /// Every other time. Of these, every other time the tasks from other threads come first, so that two tasks that
    /// wake each other do not starve them.
    #[inline]
    fn take_kept(local: &Local<H>) -> Option<Task> {
        let own = own::<Self, H>(local);
        if home::pinned_here() == 0 || own.had_turn.replace(false) {
            return None;
        }
        let task = if local.queues.tick.get() & 2 == 0 {
            take_sent(local).or_else(|| take(local))
        } else {
            take(local)
        };
        own.had_turn.set(task.is_some());
        task
    }

    #[inline]
    fn has_kept(local: &Local<H>) -> bool {
        let due = &own::<Self, H>(local).due;
        !due.borrow().is_empty() || !own_seen::<Self, H>(local).is_empty()
    }

    fn cancel_kept(local: &Local<H>) {
        loop {
            while let Some(task) = take(local) {
                local.shared.cancel(task);
            }
            if home::pinned_here() == 0 {
                return;
            }
            // A sweep, here or elsewhere, finds those that wait. A waker may be about to queue one.
            if local.shared.sweep() > 0 && !Self::has_kept(local) && home::pinned_here() > 0 {
                local.parker.park(Some(now() + FOREIGN_WAKER_TIMEOUT));
            }
        }
    }

    fn cancel(shared: &Shared<H>, task: Task) {
        match home_of(&task) {
            // A worker of another runtime, which drops this one, may have the same number.
            Some(worker) if Local::current_index(shared) != Some(worker) => {
                send(shared, worker, task);
            }
            _ => shared.cancel(task),
        }
    }
}

/// The worker that the task is pinned to.
#[inline]
fn home_of(task: &Task) -> Option<usize> {
    let worker = task.home()?.worker().checked_sub(1)?;
    Some(worker as usize)
}

/// The next pinned task.
fn take<H: Has<PinnedTasks>>(local: &Local<H>) -> Option<Task> {
    let due = own::<PinnedTasks, H>(local).due.borrow_mut().pop_front();
    due.or_else(|| take_sent(local))
}

fn take_sent<H: Has<PinnedTasks>>(local: &Local<H>) -> Option<Task> {
    retry(|| own_seen::<PinnedTasks, H>(local).steal())
}

/// Queues a task that is pinned to that worker.
#[cold]
#[inline(never)]
fn put<H: Has<PinnedTasks>>(shared: &Arc<Shared<H>>, worker: usize, task: Task) {
    // In simulated time, another worker must see that this one has work: it may be counted as asleep until its poll of
    // the reactor returns.
    let is_here = |local: &&Local<H>| local.index() == worker && !H::has_own_time(shared);
    match Local::current(shared).filter(is_here) {
        Some(local) => {
            H::observe(local, Event::Queued(task.id(), Place::Back));
            own::<PinnedTasks, H>(local)
                .due
                .borrow_mut()
                .push_back(task);
        }
        None => send(shared, worker, task),
    }
}

/// Queues a task that is pinned to a worker on another thread.
fn send<H: Has<PinnedTasks>>(shared: &Shared<H>, worker: usize, task: Task) {
    H::observe_shared(shared, SharedEvent::Injected(task.id()));
    seen::<PinnedTasks, H>(shared, worker).push(task);
    if shared.idle.notify_worker(worker) {
        shared.unpark(worker);
    }
}
