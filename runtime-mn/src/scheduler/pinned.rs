//! Tasks that are pinned to the worker that began them: they have a stack of their own, which must not move to another
//! thread.
//!
//! A pinned task is queued for its worker only, by whoever wakes it: the worker itself into a queue of its own, all
//! others into the worker's `pinned` inbox. Thieves, hand-off and the CPU-bound pool don't touch either. While the
//! worker is stuck in a poll, or its task blocks in place, its pinned tasks wait; a replacement worker takes over all
//! other tasks. A replacement worker to which tasks are pinned goes on until they have ended.
//!
//! **No wake-up is lost**: whoever puts a task into the inbox then looks whether the worker sleeps, as in
//! [`Idle::notify_worker`](super::idle::Idle::notify_worker), and the worker looks into its inbox after it has
//! announced that it sleeps.
//!
//! **At the end** a task that another worker's sweep finds is sent home, and dropped there: a worker does not end
//! before its pinned tasks have.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use runtime_core::task::{Task, home};

use super::{Local, Shared};
use crate::deque::retry;
use crate::policy;
use crate::seam::Hooks;
use crate::seam::facts::{Event, SharedEvent};

/// How long a worker that ends waits at a time for a waker elsewhere to queue the task that it has marked.
const FOREIGN_WAKER: Duration = Duration::from_millis(1);

/// A worker's own side.
#[derive(Default)]
pub(crate) struct OwnPinned {
    /// Those that this worker itself has woken. The oldest first.
    due: RefCell<VecDeque<Task>>,
    /// Whether the last task was a pinned one: then another one has its turn.
    had_turn: Cell<bool>,
}

/// How thieves must treat a task.
pub(crate) enum Place {
    /// It may go anywhere, and be diverted.
    Any,
    /// It may go to any worker, but only to a worker.
    AnyWorker,
    /// To that worker.
    Home(usize),
}

#[inline]
pub(crate) fn place_of(task: &Task) -> Place {
    match task.home() {
        None => Place::Any,
        Some(home) => match home.worker().checked_sub(1) {
            None => Place::AnyWorker,
            Some(worker) => Place::Home(worker as usize),
        },
    }
}

impl<H: Hooks> Local<H> {
    /// Queues a task that is at home on that worker.
    #[cold]
    #[inline(never)]
    pub(crate) fn send_home(&self, worker: usize, task: Task) {
        if worker != self.index() {
            return self.shared.send_home(worker, task);
        }
        H::observe(self, Event::Queued(task.id(), policy::Place::Back));
        self.pinned.due.borrow_mut().push_back(task);
    }

    /// Whether a pinned task is due here.
    pub(crate) fn has_pinned(&self) -> bool {
        !self.pinned.due.borrow().is_empty() || !self.remote.pinned.is_empty()
    }

    /// The next pinned task.
    pub(crate) fn take_pinned(&self) -> Option<Task> {
        let due = self.pinned.due.borrow_mut().pop_front();
        due.or_else(|| retry(|| self.remote.pinned.steal()))
    }

    /// A pinned task, if it is the pinned tasks' turn: every other time. What others have sent comes first every other
    /// time again, so that two tasks that wake each other keep nobody out.
    #[inline]
    pub(crate) fn take_pinned_in_turn(&self) -> Option<Task> {
        if home::pinned_here() == 0 || self.pinned.had_turn.replace(false) {
            return None;
        }
        let of_others = || retry(|| self.remote.pinned.steal());
        let task = if self.queues.tick.get() & 2 == 0 {
            of_others().or_else(|| self.take_pinned())
        } else {
            self.take_pinned()
        };
        self.pinned.had_turn.set(task.is_some());
        task
    }

    /// The runtime has closed: drops the tasks that are at home here.
    pub(super) fn end_pinned(&self) {
        loop {
            while let Some(task) = self.take_pinned() {
                self.shared.cancel(task);
            }
            if home::pinned_here() == 0 {
                return;
            }
            // Those that wait are found by a sweep, here or elsewhere. Some waker may be about to queue one.
            if self.shared.sweep() > 0 && !self.has_pinned() && home::pinned_here() > 0 {
                self.parker.park(Some(Instant::now() + FOREIGN_WAKER));
            }
        }
    }
}

impl<H: Hooks> Shared<H> {
    /// Queues a task that is at home on a worker other than the calling thread.
    #[cold]
    pub(crate) fn send_home(&self, worker: usize, task: Task) {
        H::observe_shared(self, SharedEvent::Injected(task.id()));
        self.remotes[worker].pinned.push(task);
        if self.idle.notify_worker(worker) {
            self.unpark(worker);
        }
    }
}
