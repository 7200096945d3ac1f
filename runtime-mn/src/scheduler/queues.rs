//! The queues of a worker. The injector belongs to nobody, and stands in `Shared`.

use std::cell::Cell;

use crossbeam_utils::CachePadded;
use runtime_core::task::Task;

use crate::deque::{Stealer, Worker as Deque};
use crate::policy::STATE_SLOTS;
use crate::random::Random;
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
