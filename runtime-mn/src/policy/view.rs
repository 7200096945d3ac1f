//! What a worker shows its policy.

use runtime_core::primitives::atomic::Ordering::Relaxed;
use runtime_core::task::Task;
use runtime_policy::{Numbers, SearchView, SleeperNumbers, Topology, WorkerView};

use crate::scheduler::queues::{OwnQueues, SharedQueues, WorkerQueues};

/// The worker that asks, and the task that it asks about.
#[derive(Clone, Copy)]
pub(crate) struct Shown<'a> {
    queues: &'a OwnQueues,
    task: Option<&'a Task>,
}

impl<'a> Shown<'a> {
    /// To be placed.
    #[inline]
    pub(crate) fn task(queues: &'a OwnQueues, task: &'a Task) -> Self {
        Self {
            queues,
            task: Some(task),
        }
    }

    /// The worker alone.
    #[inline]
    pub(crate) fn worker(queues: &'a OwnQueues) -> Self {
        Self { queues, task: None }
    }

    #[inline]
    pub(crate) fn view(&'a self) -> WorkerView<'a> {
        WorkerView::new(self)
    }

    #[inline]
    pub(crate) fn search_view(&'a self) -> SearchView<'a> {
        SearchView::new(self)
    }

    fn other(&self, worker: usize) -> Option<&WorkerQueues> {
        self.queues.all.active().get(worker).map(|queues| &**queues)
    }
}

impl Numbers for Shown<'_> {
    #[inline]
    fn worker(&self) -> usize {
        self.queues.index
    }
    #[inline]
    fn workers(&self) -> usize {
        self.queues.all.regular
    }
    #[inline]
    fn reach(&self) -> usize {
        self.queues.all.active().len()
    }
    #[inline]
    fn tick(&self) -> u32 {
        self.queues.tick.get()
    }
    #[inline]
    fn has_slot(&self) -> bool {
        self.queues.slot().is_filled()
    }
    #[inline]
    fn has_spawned(&self) -> bool {
        !self.queues.lifo.is_empty()
    }
    #[inline]
    fn spawned_len(&self) -> usize {
        self.queues.lifo.len()
    }
    #[inline]
    fn has_woken(&self) -> bool {
        !self.queues.fifo.is_empty()
    }
    #[inline]
    fn woken_len(&self) -> usize {
        self.queues.fifo.len()
    }
    #[inline]
    fn ranked_len(&self) -> usize {
        self.queues.shared.ranked.len()
    }
    #[inline]
    fn has_inbox(&self) -> bool {
        !self.queues.shared.inbox.is_empty()
    }
    #[inline]
    fn has_injected(&self) -> bool {
        !self.queues.all.injector.is_empty()
    }
    #[inline]
    fn tag(&self) -> u32 {
        self.task.map_or(0, Task::tag)
    }
    fn now_ns(&self) -> u64 {
        self.queues.all.now_ns()
    }
    #[inline]
    fn random(&self) -> u64 {
        self.queues.random() as u64
    }
    fn queued(&self, worker: usize) -> usize {
        self.other(worker).map_or(0, WorkerQueues::len)
    }
    fn first_rank(&self, worker: usize) -> Option<u64> {
        self.other(worker)?.ranked.first_rank()
    }
    fn sleeps(&self, worker: usize) -> bool {
        self.other(worker).is_some_and(|it| it.asleep.load(Relaxed))
    }
    #[inline]
    fn state(&self, slot: usize) -> u64 {
        self.queues.state[slot].get()
    }
    #[inline]
    fn set_state(&self, slot: usize, value: u64) {
        self.queues.state[slot].set(value);
    }
    fn topology(&self) -> &Topology {
        self.queues.all.topology()
    }
}

/// Those that sleep, and who wakes one of them.
pub(crate) struct Sleepers<'a> {
    pub(crate) queues: &'a SharedQueues,
    pub(crate) teller: Option<usize>,
}

impl SleeperNumbers for Sleepers<'_> {
    fn teller(&self) -> Option<usize> {
        self.teller
    }
    fn workers(&self) -> usize {
        self.queues.active().len()
    }
    fn sleeps(&self, worker: usize) -> bool {
        let queues = self.queues.active().get(worker);
        queues.is_some_and(|it| it.asleep.load(Relaxed))
    }
    fn topology(&self) -> &Topology {
        self.queues.topology()
    }
}
