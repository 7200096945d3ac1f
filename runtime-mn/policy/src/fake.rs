//! A fake worker that consists of numbers, for testing policies without a scheduler.

use alloc::vec::Vec;
use core::cell::Cell;

use crate::{Numbers, STATE_SLOTS, SearchView, SleeperNumbers, SleeperView, Topology, WorkerView};

/// What the views of one worker show.
///
/// ```
/// use runtime_policy::{GoLike, Policy, Source, fake::FakeWorker};
///
/// let worker = FakeWorker { woken: 3, ..FakeWorker::default() };
/// assert_eq!(GoLike.next(&worker.view()), Some(Source::Front));
/// ```
#[derive(Clone, Debug)]
pub struct FakeWorker {
    /// Its number.
    pub worker: usize,
    /// How many times it has looked for a task.
    pub tick: u32,
    /// Whether the LIFO slot is filled.
    pub slot: bool,
    /// Tasks in the LIFO queue.
    pub spawned: usize,
    /// Tasks in the FIFO queue.
    pub woken: usize,
    /// Tasks in the inbox.
    pub inbox: usize,
    /// Injected tasks.
    pub injected: usize,
    /// The tag of the task that must be placed.
    pub tag: u32,
    /// The present time.
    pub now_ns: u64,
    /// The state of the random generator.
    pub random: Cell<u64>,
    /// The worker's memory.
    pub state: [Cell<u64>; STATE_SLOTS],
    /// All workers, including this one. There must be more of them than `worker`.
    pub workers: Vec<FakeRemote>,
    /// The processors on which they run.
    pub topology: Topology,
}

/// What others see of a worker.
#[derive(Clone, Debug, Default)]
pub struct FakeRemote {
    /// Tasks in its queues.
    pub queued: usize,
    /// Whether it sleeps.
    pub sleeps: bool,
    /// The ranks in its ranked queue, in any order.
    pub ranks: Vec<u64>,
}

impl Default for FakeWorker {
    /// Worker 0 of four idle workers, on a flat machine.
    fn default() -> Self {
        Self {
            worker: 0,
            tick: 1,
            slot: false,
            spawned: 0,
            woken: 0,
            inbox: 0,
            injected: 0,
            tag: 0,
            now_ns: 0,
            random: Cell::new(1),
            state: Default::default(),
            workers: (0..4).map(|_| FakeRemote::default()).collect(),
            topology: Topology::flat(4),
        }
    }
}

impl FakeWorker {
    /// As a policy sees it when it places a task or chooses the next one.
    pub fn view(&self) -> WorkerView<'_> {
        WorkerView::new(self)
    }

    /// As a policy sees it when the worker searches.
    pub fn search_view(&self) -> SearchView<'_> {
        SearchView::new(self)
    }

    /// As a policy sees the sleeping workers when this worker wakes one.
    pub fn sleeper_view(&self) -> SleeperView<'_> {
        SleeperView::new(self)
    }
}

impl Numbers for FakeWorker {
    fn worker(&self) -> usize {
        self.worker
    }
    fn workers(&self) -> usize {
        self.workers.len()
    }
    fn reach(&self) -> usize {
        self.workers.len()
    }
    fn tick(&self) -> u32 {
        self.tick
    }
    fn has_slot(&self) -> bool {
        self.slot
    }
    fn has_spawned(&self) -> bool {
        self.spawned > 0
    }
    fn spawned_len(&self) -> usize {
        self.spawned
    }
    fn has_woken(&self) -> bool {
        self.woken > 0
    }
    fn woken_len(&self) -> usize {
        self.woken
    }
    fn ranked_len(&self) -> usize {
        self.workers[self.worker].ranks.len()
    }
    fn has_inbox(&self) -> bool {
        self.inbox > 0
    }
    fn has_injected(&self) -> bool {
        self.injected > 0
    }
    fn tag(&self) -> u32 {
        self.tag
    }
    fn now_ns(&self) -> u64 {
        self.now_ns
    }
    fn random(&self) -> u64 {
        // Knuth's generator; the lower bits repeat soon.
        let next = self.random.get().wrapping_mul(6_364_136_223_846_793_005);
        self.random
            .set(next.wrapping_add(1_442_695_040_888_963_407));
        next >> 32
    }
    fn queued(&self, worker: usize) -> usize {
        self.workers.get(worker).map_or(0, |it| it.queued)
    }
    fn first_rank(&self, worker: usize) -> Option<u64> {
        self.workers.get(worker)?.ranks.iter().copied().min()
    }
    fn sleeps(&self, worker: usize) -> bool {
        self.workers.get(worker).is_some_and(|it| it.sleeps)
    }
    fn state(&self, slot: usize) -> u64 {
        self.state[slot].get()
    }
    fn set_state(&self, slot: usize, value: u64) {
        self.state[slot].set(value);
    }
    fn topology(&self) -> &Topology {
        &self.topology
    }
}

impl SleeperNumbers for FakeWorker {
    fn teller(&self) -> Option<usize> {
        Some(self.worker)
    }
    fn workers(&self) -> usize {
        self.workers.len()
    }
    fn sleeps(&self, worker: usize) -> bool {
        Numbers::sleeps(self, worker)
    }
    fn topology(&self) -> &Topology {
        &self.topology
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_that_does_not_exist_stores_nothing() {
        let worker = FakeWorker::default();
        let view = worker.view();
        view.set_state(STATE_SLOTS - 1, 7);
        view.set_state(STATE_SLOTS, 8);
        assert_eq!(
            (view.state(STATE_SLOTS - 1), view.state(STATE_SLOTS)),
            (7, 0)
        );
        assert_eq!(worker.search_view().state(usize::MAX), 0);
    }

    #[test]
    fn victims_are_all_other_workers_once_each() {
        let worker = FakeWorker {
            worker: 2,
            ..FakeWorker::default()
        };
        for _ in 0..20 {
            let mut victims: Vec<_> = worker.search_view().victims().collect();
            victims.sort_unstable();
            assert_eq!(victims, [0, 1, 3]);
        }
    }
}
