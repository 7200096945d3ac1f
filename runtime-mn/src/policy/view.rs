//! What a policy sees when it is asked. A view shows numbers; it owns nothing, and changes nothing.

use crate::local::Local;

/// The calling worker: its own queues, and the injector.
#[derive(Clone, Copy, Debug)]
pub struct WorkerView<'a>(pub(crate) &'a Local);

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
        self.0.remote().slot.is_filled()
    }

    /// Whether there are tasks in the `spawned` deque.
    #[inline]
    pub fn has_spawned(&self) -> bool {
        !self.0.spawned.is_empty()
    }

    /// Tasks in the `spawned` deque.
    pub fn spawned_len(&self) -> usize {
        self.0.spawned.len()
    }

    /// Whether there are tasks in the `woken` queue.
    #[inline]
    pub fn has_woken(&self) -> bool {
        !self.0.woken.is_empty()
    }

    /// Tasks in the `woken` queue.
    pub fn woken_len(&self) -> usize {
        self.0.woken.len()
    }

    /// Whether there are injected tasks.
    #[inline]
    pub fn has_injected(&self) -> bool {
        !self.0.shared.injector.is_empty()
    }
}

/// A worker that has nothing left, and the others that it could take from.
#[derive(Clone, Copy, Debug)]
pub struct SearchView<'a>(pub(crate) &'a Local);

impl<'a> SearchView<'a> {
    /// The number of the worker that searches.
    pub fn worker(&self) -> usize {
        self.0.index
    }

    /// How many workers there are, with the replacement workers that ever stood in.
    pub fn workers(&self) -> usize {
        self.0.shared.reach().len()
    }

    /// The numbers of all other workers, beginning at a random one.
    pub fn victims(&self) -> impl Iterator<Item = usize> + use<'a> {
        let own = self.0.index;
        let workers = self.workers();
        let start = self.0.random() % workers;
        (0..workers)
            .map(move |offset| (start + offset) % workers)
            .filter(move |victim| *victim != own)
    }

    /// One other worker, drawn at random; `None` if there is none.
    pub fn random_victim(&self) -> Option<usize> {
        self.victims().next()
    }

    /// How many tasks a worker has queued at this moment; 0 if there is no such worker.
    pub fn queued(&self, worker: usize) -> usize {
        let remote = self.0.shared.reach().get(worker);
        remote.map_or(0, |remote| remote.queue_depth())
    }
}
