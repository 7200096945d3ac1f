//! What a policy sees when it is asked. A view contains numbers. It owns no task, and through it a policy can only
//! change the worker's few words of memory.
//!
//! A view is one pointer to the source of the numbers, and each number is read on demand. The scheduler creates the
//! view where it asks the policy. Once the policy's method is inlined, the compiler knows what is behind the pointer,
//! and reading a number costs only what computing it costs.

use core::fmt;

use crate::{Distance, Topology};

/// How many words of memory a policy has for each worker.
pub const STATE_SLOTS: usize = 4;

/// The numbers that a scheduler or a simulator provides about the asking worker and about the others. Numbers about
/// other workers may be a little old.
///
/// Implement it to run policies; a policy uses the views.
pub trait Numbers {
    /// See [`WorkerView::worker`].
    fn worker(&self) -> usize;
    /// See [`WorkerView::workers`].
    fn workers(&self) -> usize;
    /// See [`SearchView::workers`].
    fn reach(&self) -> usize;
    /// See [`WorkerView::tick`].
    fn tick(&self) -> u32;
    /// See [`WorkerView::has_slot`].
    fn has_slot(&self) -> bool;
    /// See [`WorkerView::has_spawned`].
    fn has_spawned(&self) -> bool;
    /// See [`WorkerView::spawned_len`].
    fn spawned_len(&self) -> usize;
    /// See [`WorkerView::has_woken`].
    fn has_woken(&self) -> bool;
    /// See [`WorkerView::woken_len`].
    fn woken_len(&self) -> usize;
    /// See [`WorkerView::ranked_len`].
    fn ranked_len(&self) -> usize;
    /// See [`WorkerView::has_inbox`].
    fn has_inbox(&self) -> bool;
    /// See [`WorkerView::has_injected`].
    fn has_injected(&self) -> bool;
    /// See [`TaskView::tag`].
    fn tag(&self) -> u32;
    /// See [`WorkerView::now_ns`].
    fn now_ns(&self) -> u64;
    /// See [`WorkerView::random`].
    fn random(&self) -> u64;
    /// See [`WorkerView::queued`].
    fn queued(&self, worker: usize) -> usize;
    /// See [`SearchView::first_rank`].
    fn first_rank(&self, worker: usize) -> Option<u64>;
    /// See [`WorkerView::sleeps`].
    fn sleeps(&self, worker: usize) -> bool;
    /// See [`WorkerView::state`]. `slot` is below [`STATE_SLOTS`].
    fn state(&self, slot: usize) -> u64;
    /// See [`WorkerView::set_state`]. `slot` is below [`STATE_SLOTS`].
    fn set_state(&self, slot: usize, value: u64);
    /// See [`WorkerView::distance`].
    fn topology(&self) -> &Topology;
}

fn state(numbers: &dyn Numbers, slot: usize) -> u64 {
    if slot < STATE_SLOTS {
        numbers.state(slot)
    } else {
        0
    }
}

fn set_state(numbers: &dyn Numbers, slot: usize, value: u64) {
    if slot < STATE_SLOTS {
        numbers.set_state(slot, value);
    }
}

/// The calling worker: its own queues, and the injector.
#[derive(Clone, Copy)]
pub struct WorkerView<'a>(&'a dyn Numbers);

impl fmt::Debug for WorkerView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WorkerView").field(&self.worker()).finish()
    }
}

impl<'a> WorkerView<'a> {
    /// Creates a view of the worker that `numbers` describes.
    #[inline]
    pub fn new(numbers: &'a dyn Numbers) -> Self {
        Self(numbers)
    }

    /// The worker's number. Replacement workers come after the others.
    pub fn worker(&self) -> usize {
        self.0.worker()
    }

    /// How many workers there are, without replacement workers. They are numbered from 0, and each has an inbox.
    pub fn workers(&self) -> usize {
        self.0.workers()
    }

    /// The task that must be placed. When a worker looks for its [next](crate::Policy::next) task there is none, and
    /// its numbers are 0.
    #[inline]
    pub fn task(&self) -> TaskView<'a> {
        TaskView(self.0)
    }

    /// How many times this worker has looked for its next task.
    #[inline]
    pub fn tick(&self) -> u32 {
        self.0.tick()
    }

    /// Whether there is a task in the LIFO slot.
    #[inline]
    pub fn has_slot(&self) -> bool {
        self.0.has_slot()
    }

    /// Whether there are tasks in the LIFO queue.
    #[inline]
    pub fn has_spawned(&self) -> bool {
        self.0.has_spawned()
    }

    /// Tasks in the LIFO queue.
    pub fn spawned_len(&self) -> usize {
        self.0.spawned_len()
    }

    /// Whether there are tasks in the FIFO queue.
    #[inline]
    pub fn has_woken(&self) -> bool {
        self.0.has_woken()
    }

    /// Tasks in the FIFO queue.
    pub fn woken_len(&self) -> usize {
        self.0.woken_len()
    }

    /// Whether there are tasks in the ranked queue.
    #[inline]
    pub fn has_ranked(&self) -> bool {
        self.0.ranked_len() > 0
    }

    /// Tasks in the ranked queue.
    pub fn ranked_len(&self) -> usize {
        self.0.ranked_len()
    }

    /// Whether there are tasks in the inbox.
    #[inline]
    pub fn has_inbox(&self) -> bool {
        self.0.has_inbox()
    }

    /// Whether there are injected tasks.
    #[inline]
    pub fn has_injected(&self) -> bool {
        self.0.has_injected()
    }

    /// Nanoseconds since the runtime was built, by its clock. A simulated clock stands still while there is work.
    pub fn now_ns(&self) -> u64 {
        self.0.now_ns()
    }

    /// The next number of the worker's random generator, which has a seed: 32 random bits.
    pub fn random(&self) -> u64 {
        self.0.random()
    }

    /// How many tasks a worker has queued, this one or another, in all of its queues; 0 if there is no such worker.
    pub fn queued(&self, worker: usize) -> usize {
        self.0.queued(worker)
    }

    /// Whether a worker sleeps; false if there is no such worker.
    pub fn sleeps(&self, worker: usize) -> bool {
        self.0.sleeps(worker)
    }

    /// How far another worker is from this one.
    pub fn distance(&self, worker: usize) -> Distance {
        self.0.topology().distance(self.worker(), worker)
    }

    /// A word of the policy's memory for this worker, 0 at first. There are [`STATE_SLOTS`] slots; any other one reads
    /// as 0.
    ///
    /// The memory consists of words, not of a type that the policy chooses: the trait could not give such a type a
    /// default, so every policy would have to name one, and its methods and destructor would be policy code in the
    /// worker.
    pub fn state(&self, slot: usize) -> u64 {
        state(self.0, slot)
    }

    /// Stores a word in this worker's memory. A slot that does not exist stores nothing.
    pub fn set_state(&self, slot: usize, value: u64) {
        set_state(self.0, slot, value);
    }
}

/// A task that must be placed.
#[derive(Clone, Copy)]
pub struct TaskView<'a>(&'a dyn Numbers);

impl fmt::Debug for TaskView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskView")
            .field("tag", &self.tag())
            .finish()
    }
}

impl TaskView<'_> {
    /// The tag that the task was spawned with, or 0. The policy defines its meaning, and any number is allowed.
    #[inline]
    pub fn tag(&self) -> u32 {
        self.0.tag()
    }
}

/// A worker without work, and the others that it could steal from.
#[derive(Clone, Copy)]
pub struct SearchView<'a>(&'a dyn Numbers);

impl fmt::Debug for SearchView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SearchView").field(&self.worker()).finish()
    }
}

impl<'a> SearchView<'a> {
    /// Creates a view of the others for the worker that `numbers` describes.
    #[inline]
    pub fn new(numbers: &'a dyn Numbers) -> Self {
        Self(numbers)
    }

    /// The number of the worker that searches.
    pub fn worker(&self) -> usize {
        self.0.worker()
    }

    /// How many workers there are, with the replacement workers that were ever started.
    pub fn workers(&self) -> usize {
        self.0.reach()
    }

    /// The numbers of all other workers, beginning at a random one.
    pub fn victims(&self) -> impl Iterator<Item = usize> + use<'a> {
        let own = self.worker();
        let workers = self.workers();
        let start = self.0.random() as usize % workers;
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
        self.0.queued(worker)
    }

    /// The lowest rank in a worker's ranked queue at this moment. `None` if the queue is empty or there is no such
    /// worker.
    pub fn first_rank(&self, worker: usize) -> Option<u64> {
        self.0.first_rank(worker)
    }

    /// How far another worker is from the searching one.
    pub fn distance(&self, worker: usize) -> Distance {
        self.0.topology().distance(self.worker(), worker)
    }

    /// Like [`WorkerView::now_ns`].
    pub fn now_ns(&self) -> u64 {
        self.0.now_ns()
    }

    /// Like [`WorkerView::random`].
    pub fn random(&self) -> u64 {
        self.0.random()
    }

    /// Like [`WorkerView::state`], for the searching worker.
    pub fn state(&self, slot: usize) -> u64 {
        state(self.0, slot)
    }

    /// Like [`WorkerView::set_state`].
    pub fn set_state(&self, slot: usize, value: u64) {
        set_state(self.0, slot, value);
    }
}

/// The numbers that a scheduler or a simulator provides about sleeping workers.
///
/// Implement it to run policies; a policy uses [`SleeperView`].
pub trait SleeperNumbers {
    /// See [`SleeperView::waking_worker`].
    fn teller(&self) -> Option<usize>;
    /// See [`SleeperView::workers`].
    fn workers(&self) -> usize;
    /// See [`SleeperView::sleeps`].
    fn sleeps(&self, worker: usize) -> bool;
    /// See [`SleeperView::distance`].
    fn topology(&self) -> &Topology;
}

/// The sleeping workers, one of which must be woken.
#[derive(Clone, Copy)]
pub struct SleeperView<'a>(&'a dyn SleeperNumbers);

impl fmt::Debug for SleeperView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.sleepers()).finish()
    }
}

impl<'a> SleeperView<'a> {
    /// Creates a view of the workers that `numbers` describes.
    pub fn new(numbers: &'a dyn SleeperNumbers) -> Self {
        Self(numbers)
    }

    /// The worker that has found or queued work for others. `None` if it was a non-worker thread.
    pub fn waking_worker(&self) -> Option<usize> {
        self.0.teller()
    }

    /// The former name of [`waking_worker`](SleeperView::waking_worker).
    #[deprecated(note = "it is called `waking_worker`")]
    pub fn teller(&self) -> Option<usize> {
        self.waking_worker()
    }

    /// Like [`SearchView::workers`].
    pub fn workers(&self) -> usize {
        self.0.workers()
    }

    /// Whether a worker sleeps; false if there is no such worker.
    pub fn sleeps(&self, worker: usize) -> bool {
        self.0.sleeps(worker)
    }

    /// The numbers of all sleeping workers, in ascending order.
    pub fn sleepers(&self) -> impl Iterator<Item = usize> + use<'a> {
        let sleepers = self.0;
        (0..sleepers.workers()).filter(move |worker| sleepers.sleeps(*worker))
    }

    /// How far a worker is from the [waking worker](SleeperView::waking_worker); for a non-worker thread,
    /// [`Machine`](Distance::Machine).
    pub fn distance(&self, worker: usize) -> Distance {
        let distance = |waking| self.0.topology().distance(waking, worker);
        self.waking_worker().map_or(Distance::Machine, distance)
    }
}
