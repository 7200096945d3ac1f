//! A worker, as seen by its policy.

use std::sync::Arc;

use runtime_core::primitives::atomic::Ordering::Relaxed;
use runtime_core::task::Task;
use runtime_policy::{Numbers, SearchView, SleeperNumbers, Topology, WorkerView};

use crate::scheduler::{Local, Remote, Shared};
use crate::seam::Hooks;
use crate::seam::facts::Pick;

impl<H: Hooks> Shared<H> {
    /// How many tasks wait for that worker.
    pub(crate) fn queued(&self, worker: usize) -> usize {
        let queues = &self.remotes[worker].queues;
        let own = queues.lifo.len() + queues.fifo.len() + usize::from(queues.slot.is_filled());
        own + H::queued(self, worker, Pick::Any)
    }
}

/// The worker that asks, and the task in question.
pub(crate) struct Shown<'a, H: Hooks> {
    local: &'a Local<H>,
    task: Option<&'a Task>,
}

impl<'a, H: Hooks> Shown<'a, H> {
    /// With a task to be placed.
    #[inline]
    pub(crate) fn task(local: &'a Local<H>, task: &'a Task) -> Self {
        Self {
            local,
            task: Some(task),
        }
    }

    /// Without a task.
    #[inline]
    pub(crate) fn worker(local: &'a Local<H>) -> Self {
        Self { local, task: None }
    }

    #[inline]
    pub(crate) fn view(&'a self) -> WorkerView<'a> {
        WorkerView::new(self)
    }

    #[inline]
    pub(crate) fn search_view(&'a self) -> SearchView<'a> {
        SearchView::new(self)
    }

    fn exists(&self, worker: usize) -> bool {
        worker < self.local.shared.active().len()
    }

    fn own(&self, pick: Pick) -> usize {
        H::queued(&self.local.shared, self.local.index(), pick)
    }
}

impl<H: Hooks> Numbers for Shown<'_, H> {
    #[inline]
    fn worker(&self) -> usize {
        self.local.index()
    }
    #[inline]
    fn workers(&self) -> usize {
        self.local.shared.workers
    }
    #[inline]
    fn reach(&self) -> usize {
        self.local.shared.active().len()
    }
    #[inline]
    fn tick(&self) -> u32 {
        self.local.queues.tick.get()
    }
    #[inline]
    fn has_slot(&self) -> bool {
        self.local.remote.queues.slot.is_filled()
    }
    #[inline]
    fn has_spawned(&self) -> bool {
        !self.local.queues.lifo.is_empty()
    }
    #[inline]
    fn spawned_len(&self) -> usize {
        self.local.queues.lifo.len()
    }
    #[inline]
    fn has_woken(&self) -> bool {
        !self.local.queues.fifo.is_empty()
    }
    #[inline]
    fn woken_len(&self) -> usize {
        self.local.queues.fifo.len()
    }
    #[inline]
    fn ranked_len(&self) -> usize {
        self.own(Pick::First)
    }
    #[inline]
    fn has_inbox(&self) -> bool {
        self.own(Pick::Sent) > 0
    }
    #[inline]
    fn has_injected(&self) -> bool {
        !self.local.shared.injector.is_empty()
    }
    #[inline]
    fn tag(&self) -> u32 {
        self.task.map_or(0, Task::tag)
    }
    fn now_ns(&self) -> u64 {
        self.local.shared.surroundings.now_ns()
    }
    #[inline]
    fn random(&self) -> u64 {
        self.local.queues.random.next() as u64
    }
    fn queued(&self, worker: usize) -> usize {
        if self.exists(worker) {
            self.local.shared.queued(worker)
        } else {
            0
        }
    }
    fn first_rank(&self, worker: usize) -> Option<u64> {
        let exists = self.exists(worker);
        exists.then(|| H::first_rank(&self.local.shared, worker))?
    }
    fn sleeps(&self, worker: usize) -> bool {
        sleeps(self.local.shared.active(), worker)
    }
    #[inline]
    fn state(&self, slot: usize) -> u64 {
        self.local.queues.state[slot].get()
    }
    #[inline]
    fn set_state(&self, slot: usize, value: u64) {
        self.local.queues.state[slot].set(value);
    }
    fn topology(&self) -> &Topology {
        self.local.shared.surroundings.topology()
    }
}

fn sleeps<H: Hooks>(active: &[Arc<Remote<H>>], worker: usize) -> bool {
    let remote = active.get(worker);
    remote.is_some_and(|remote| remote.asleep.load(Relaxed))
}

/// The sleeping workers, and the worker that wakes one of them.
pub(crate) struct Sleepers<'a, H: Hooks> {
    pub(crate) shared: &'a Shared<H>,
    pub(crate) teller: Option<usize>,
}

impl<H: Hooks> SleeperNumbers for Sleepers<'_, H> {
    fn teller(&self) -> Option<usize> {
        self.teller
    }
    fn workers(&self) -> usize {
        self.shared.active().len()
    }
    fn sleeps(&self, worker: usize) -> bool {
        sleeps(self.shared.active(), worker)
    }
    fn topology(&self) -> &Topology {
        self.shared.surroundings.topology()
    }
}
