//! The end of the runtime, and that of a single worker.

use std::time::{Duration, Instant};

use runtime_core::task::Task;

use super::queues::WorkerQueues;
use super::{Local, Shared};
use crate::deque::retry;
use crate::seam::Hooks;
use crate::seam::facts::{Origin, Pick, SharedEvent};

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

    /// Cancels every task in a queue.
    pub(crate) fn cancel_queued(&self) {
        while let Some(task) = retry(|| self.injector.steal()) {
            self.cancel(task);
        }
        for worker in 0..self.remotes.len() {
            let WorkerQueues { slot, lifo, fifo } = &self.remotes[worker].queues;
            let steal = || retry(|| lifo.steal().or_else(|| fifo.steal()));
            let others = || slot.take().or_else(|| H::take(self, worker, Pick::Any));
            while let Some(task) = steal().or_else(others) {
                self.cancel(task);
            }
        }
    }

    /// Cancels every task that is in a queue or idle. Returns how many were alive: those of them that are being
    /// polled, or are on their way into a queue, still are.
    pub(crate) fn sweep(&self) -> usize {
        self.cancel_queued();
        H::observe_shared(self, SharedEvent::Sweep);
        self.arena.abort_all(|task| self.cancel(task))
    }
}

impl<H: Hooks> Local<H> {
    /// The runtime has closed: cancels what this worker has queued. The last worker cancels all that is left.
    pub(crate) fn end(&self) {
        let shared = &self.shared;
        self.found();
        shared.closed.before_drain();
        // Whoever waits for work that is no task waits for all of it.
        let others = || self.victims().map(Origin::Worker);
        let everywhere = || [Origin::Own, Origin::Outside].into_iter().chain(others());
        while everywhere().any(|origin| H::do_other_work(self, origin)) {}
        shared.sweep();
        if shared.threads.is_last_to_end() {
            // A task may be woken, or marked by a waker elsewhere, while another one is dropped: until a walk finds
            // none.
            while shared.sweep() > 0 {
                self.parker.park(Some(Instant::now() + FOREIGN_WAKER));
            }
        }
    }
}
