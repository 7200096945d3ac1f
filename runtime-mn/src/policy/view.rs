//! What a policy sees when it is asked. A view shows numbers; it owns nothing, and changes nothing.

use std::fmt;

use crate::scheduler::queues::OwnQueues;

/// The calling worker: its own queues, and the injector.
#[derive(Clone, Copy)]
pub struct WorkerView<'a>(pub(crate) &'a OwnQueues);

impl WorkerView<'_> {
    /// The worker's number. Replacement workers come after the others.
    pub fn worker(&self) -> usize {
        self.0.index
    }

    /// How many times this worker has looked for its next task.
    #[inline]
    pub fn tick(&self) -> u32 {
        self.0.tick.get()
    }

    /// Whether there is a task in the LIFO slot.
    #[inline]
    pub fn has_slot(&self) -> bool {
        self.0.slot().is_filled()
    }

    /// Whether there are tasks in the `spawned` deque.
    #[inline]
    pub fn has_spawned(&self) -> bool {
        !self.0.lifo.is_empty()
    }

    /// Tasks in the `spawned` deque.
    pub fn spawned_len(&self) -> usize {
        self.0.lifo.len()
    }

    /// Whether there are tasks in the `woken` queue.
    #[inline]
    pub fn has_woken(&self) -> bool {
        !self.0.fifo.is_empty()
    }

    /// Tasks in the `woken` queue.
    pub fn woken_len(&self) -> usize {
        self.0.fifo.len()
    }

    /// Whether there are injected tasks.
    #[inline]
    pub fn has_injected(&self) -> bool {
        !self.0.all.injector.is_empty()
    }
}

/// A worker that has nothing left, and the others that it could take from.
#[derive(Clone, Copy)]
pub struct SearchView<'a>(pub(crate) &'a OwnQueues);

impl<'a> SearchView<'a> {
    /// The number of the worker that searches.
    pub fn worker(&self) -> usize {
        self.0.index
    }

    /// How many workers there are, with the replacement workers that ever stood in.
    pub fn workers(&self) -> usize {
        self.0.all.active().len()
    }

    /// The numbers of all other workers, beginning at a random one.
    pub fn victims(&self) -> impl Iterator<Item = usize> + use<'a> {
        self.0.victims()
    }

    /// One other worker, drawn at random; `None` if there is none.
    pub fn random_victim(&self) -> Option<usize> {
        self.victims().next()
    }

    /// How many tasks a worker has queued at this moment; 0 if there is no such worker.
    pub fn queued(&self, worker: usize) -> usize {
        let queues = self.0.all.active().get(worker);
        queues.map_or(0, |queues| queues.len())
    }
}

impl fmt::Debug for WorkerView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WorkerView").field(&self.0.index).finish()
    }
}

impl fmt::Debug for SearchView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SearchView").field(&self.0.index).finish()
    }
}
