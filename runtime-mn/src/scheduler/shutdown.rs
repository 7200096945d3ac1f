//! The end of the runtime, and that of a single worker.

use std::time::Duration;

use runtime_core::primitives::now;
use runtime_core::task::Task;
use runtime_core::task::left_over::Ending;

use super::queues::WorkerQueues;
use super::{Local, Shared};
use crate::deque::retry;
use crate::seam::Hooks;
use crate::seam::facts::{Origin, Pick, SharedEvent};

/// How long an ending worker waits for a waker on another thread to queue the task that the waker has marked.
pub(crate) const FOREIGN_WAKER_TIMEOUT: Duration = Duration::from_millis(1);

impl<H: Hooks> Shared<H> {
    /// Begins the shutdown: spawns are refused, and workers end after their current poll.
    pub(crate) fn close(&self) {
        self.closed.set();
        (0..self.remotes.len()).for_each(|worker| self.unpark(worker));
        H::observe_shared(self, SharedEvent::Closed);
    }

    /// Closes the timers, because workers no longer fire any. Threads that entered the runtime may still wait for
    /// some.
    pub(crate) fn close_timers(&self) {
        self.remotes.iter().for_each(|it| it.timers.close());
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

    /// Cancels every task that is in a queue or idle. Returns how many tasks were alive. Those that are being polled,
    /// or are on their way into a queue, still are.
    pub(crate) fn sweep(&self) -> usize {
        self.cancel_queued();
        H::observe_shared(self, SharedEvent::Sweep);
        self.arena.abort_all(|task| H::cancel(self, task))
    }
}

impl<H: Hooks> Local<H> {
    /// Call this when the runtime has closed. It cancels the tasks in this worker's queues. The last worker cancels
    /// all remaining tasks.
    pub(crate) fn end(&self) {
        let shared = &self.shared;
        self.found();
        shared.closed.before_drain();
        // Threads that wait for work that is not a task wait until all of it is done.
        let others = || self.victims().map(Origin::Worker);
        let everywhere = || [Origin::Own, Origin::Outside].into_iter().chain(others());
        while everywhere().any(|origin| H::do_other_work(self, origin)) {}
        let ending = Ending::begin();
        shared.sweep();
        H::cancel_kept(self);
        if shared.threads.is_last_to_end() {
            // Dropping a task may wake another one, and a waker elsewhere may mark one. So this repeats until a walk
            // finds none.
            while shared.sweep() > 0 {
                self.parker.park(Some(now() + FOREIGN_WAKER_TIMEOUT));
            }
            shared.close_timers();
        }
        ending.serve(|limit| {
            self.poll_now();
            for remote in &shared.remotes {
                self.fire_due(&remote.timers);
            }
            self.parker.park(Some(now() + limit));
        });
    }
}
