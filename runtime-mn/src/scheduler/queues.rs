//! The queues: each worker's LIFO slot, LIFO queue and FIFO queue, and what a part has queued for it. The injector
//! belongs to nobody and stands in [`Shared`].

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crossbeam_utils::CachePadded;
use runtime_core::task::Task;

use super::{Local, Remote, Shared};
use crate::deque::{Stealer, Worker as Deque};
use crate::policy::STATE_SLOTS;
use crate::random::Random;
use crate::seam::Hooks;
use crate::seam::facts::{Origin, Pick};
use crate::slot::Slot;

/// One worker's queues, as thieves and observers see them.
pub(crate) struct WorkerQueues {
    pub(crate) slot: CachePadded<Slot>,
    pub(crate) lifo: Stealer<Task>,
    pub(crate) fifo: Stealer<Task>,
}

/// One worker's own ends. Only its thread touches them.
pub(crate) struct OwnQueues {
    pub(crate) index: usize,
    /// The newest first; thieves take the oldest.
    pub(crate) lifo: Deque<Task>,
    /// The oldest first, for everybody.
    pub(crate) fifo: Deque<Task>,
    /// How many times the worker has looked for its next task.
    pub(crate) tick: Cell<u32>,
    pub(crate) random: Random,
    /// The policy's own.
    pub(crate) state: [Cell<u64>; STATE_SLOTS],
}

impl<H: Hooks> Shared<H> {
    #[inline]
    pub(crate) fn active(&self) -> &[Arc<Remote<H>>] {
        &self.remotes[..self.active.load(Relaxed)]
    }

    /// Whether a thief finds a task with that worker. The slot does not count: it wakes nobody, and keeps nobody awake.
    /// Nor does the FIFO queue while it is not shared.
    pub(crate) fn has_tasks(&self, worker: usize, shares_fifo: bool) -> bool {
        let queues = &self.remotes[worker].queues;
        let has_own = !queues.lifo.is_empty() || shares_fifo && !queues.fifo.is_empty();
        has_own || H::queued(self, worker, Pick::Any) > 0
    }

    /// Whether any task waits for that worker.
    pub(crate) fn has_waiting(&self, worker: usize) -> bool {
        self.has_tasks(worker, true) || self.remotes[worker].queues.slot.is_filled()
    }

    pub(crate) fn has_injected(&self) -> bool {
        !self.injector.is_empty() || H::has_other_work(self, Origin::Outside)
    }

    /// The last look of a worker that goes to sleep: whether there is anything that it may take.
    pub(crate) fn has_work_for_others(&self) -> bool {
        let has_work = |worker| {
            self.has_tasks(worker, H::shares_fifo(self, worker))
                || H::has_other_work(self, Origin::Worker(worker))
        };
        self.has_injected() || self.rules.steals && (0..self.active().len()).any(has_work)
    }
}

impl<H: Hooks> Local<H> {
    #[inline]
    pub(crate) fn index(&self) -> usize {
        self.queues.index
    }

    /// Whatever this worker has, in no order.
    pub(crate) fn pop_any(&self) -> Option<Task> {
        let (slot, queues) = (self.remote.queues.slot.take(), &self.queues);
        slot.or_else(|| queues.lifo.pop())
            .or_else(|| queues.fifo.pop())
            .or_else(|| H::take(&self.shared, self.index(), Pick::Any))
    }

    /// The other workers, beginning at a random one.
    pub(crate) fn victims(&self) -> impl Iterator<Item = usize> + use<H> {
        let workers = self.shared.active().len();
        self.queues.random.others(self.index(), workers)
    }
}
