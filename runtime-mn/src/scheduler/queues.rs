//! The queues of a worker. The injector belongs to no worker, and is in `Shared`.

use std::cell::Cell;

use crossbeam_utils::CachePadded;
use runtime_core::task::Task;

use crate::deque::{Stealer, Worker as Deque};
use crate::policy::STATE_SLOTS;
use crate::random::Random;
use crate::slot::Slot;

/// One worker's queues, as seen by thieves and observers.
pub(crate) struct WorkerQueues {
    pub(crate) slot: CachePadded<Slot>,
    pub(crate) lifo: Stealer<Task>,
    pub(crate) fifo: Stealer<Task>,
}

/// The worker's own ends of its queues. Only its thread touches them.
pub(crate) struct OwnQueues {
    pub(crate) index: usize,
    /// The LIFO queue; thieves take the oldest task.
    pub(crate) lifo: Deque<Task>,
    /// The FIFO queue.
    pub(crate) fifo: Deque<Task>,
    /// How many times the worker has looked for its next task.
    pub(crate) tick: Cell<u32>,
    pub(crate) random: Random,
    /// The policy's memory for this worker.
    pub(crate) state: [Cell<u64>; STATE_SLOTS],
}
