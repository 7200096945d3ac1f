//! The queues: each worker's LIFO slot, LIFO queue and FIFO queue, and what a part has queued for it. The injector
//! belongs to nobody and stands in [`Shared`].

use std::cell::Cell;

use crossbeam_utils::CachePadded;
use runtime_core::task::Task;

use super::{Local, Shared};
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

impl OwnQueues {
    pub(crate) fn new(index: usize) -> Self {
        Self {
            index,
            lifo: Deque::new_lifo(),
            fifo: Deque::new_fifo(),
            tick: Cell::new(0),
            random: Random::new(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(index as u64 + 1)),
            state: Default::default(),
        }
    }

    /// The same queues, as the others see them.
    pub(crate) fn shared(&self) -> WorkerQueues {
        WorkerQueues {
            slot: CachePadded::default(),
            lifo: self.lifo.stealer(),
            fifo: self.fifo.stealer(),
        }
    }
}

impl<H: Hooks> Shared<H> {
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
}

impl<H: Hooks> Local<H> {
    #[inline]
    pub(crate) fn slot(&self) -> &Slot {
        &self.remote.queues.slot
    }

    /// Whatever this worker has, in no order.
    pub(crate) fn pop_any(&self) -> Option<Task> {
        let (slot, queues) = (self.slot().take(), &self.queues);
        slot.or_else(|| queues.lifo.pop())
            .or_else(|| queues.fifo.pop())
            .or_else(|| H::take(&self.shared, self.index(), Pick::Any))
    }

    /// The other workers, beginning at a random one.
    pub(crate) fn victims(&self) -> impl Iterator<Item = usize> + use<H> {
        let (own, workers) = (self.index(), self.shared.active().len());
        let start = self.queues.random.next() % workers;
        let all = (0..workers).map(move |offset| (start + offset) % workers);
        all.filter(move |victim| *victim != own)
    }
}
