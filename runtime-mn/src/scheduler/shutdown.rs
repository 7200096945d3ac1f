//! The end of the runtime, and that of a single worker.

use std::time::{Duration, Instant};

use runtime_core::task::Task;
use runtime_core::task::home::Home;

use super::{Local, Shared, pinned};
use crate::seam::Hooks;
use crate::seam::facts::{Event, Origin, SharedEvent};

/// How long the last worker waits at a time for a waker elsewhere to queue the task that it has marked.
const FOREIGN_WAKER: Duration = Duration::from_millis(1);

impl<H: Hooks> Shared<H> {
    /// Begins the shutdown: spawns are refused, and workers end after their current poll.
    pub(crate) fn close(&self) {
        self.closed.set();
        (0..self.remotes.len()).for_each(|worker| self.unpark(worker));
        H::observe_shared(self, SharedEvent::Closed);
    }

    pub(crate) fn cancel(&self, task: Task) {
        H::observe_shared(self, SharedEvent::Cancelled);
        task.cancel();
    }

    pub(crate) fn cancel_queued(&self) {
        self.queues.drain(|task| self.cancel(task));
    }

    /// Cancels every task that is in a queue or idle. Returns how many were alive: those of them that are being
    /// polled, or are on their way into a queue, still are.
    pub(crate) fn sweep(&self) -> usize {
        self.cancel_queued();
        H::observe_shared(self, SharedEvent::Sweep);
        self.arena.abort_all(|task| match pinned::place_of(&task) {
            pinned::Place::Home(worker) if task.home().is_some_and(Home::is_elsewhere) => {
                self.send_home(worker, task);
            }
            _ => self.cancel(task),
        })
    }
}

impl<H: Hooks> Local<H> {
    /// The runtime has closed: cancels what this worker has queued. The last worker cancels all that is left.
    pub(super) fn end(&self) {
        let shared = &self.shared;
        self.found();
        shared.closed.before_drain();
        while let Some(task) = self.queues.pop_any() {
            shared.cancel(task);
        }
        // Whoever waits for work that is no task waits for all of it.
        let others = || self.queues.victims().map(Origin::Worker);
        let everywhere = || [Origin::Own, Origin::Outside].into_iter().chain(others());
        while everywhere().any(|origin| H::do_other_work(self, origin)) {}
        shared.sweep();
        self.end_pinned();
        if shared.threads.is_last_to_end() {
            // A task may be woken, or marked by a waker elsewhere, while another one is dropped: until a walk finds
            // none.
            while shared.sweep() > 0 {
                self.parker.park(Some(Instant::now() + FOREIGN_WAKER));
            }
        }
    }

    /// Gives what this worker has queued to the others.
    pub(crate) fn give_away(&self) {
        // First: this puts tasks into the queues, the slot among them, which nobody else empties.
        self.remote().timers.hand_on();
        while let Some(task) = self.queues.pop_any() {
            self.queues.all.injector.push(task);
        }
        H::observe(self, Event::Leaves);
        self.shared.wake_one();
    }
}
