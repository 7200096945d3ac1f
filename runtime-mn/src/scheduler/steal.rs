//! How a worker takes tasks from its own queues, from the injector and from other workers, as its policy decides.

use std::sync::atomic::Ordering::Relaxed;

use runtime_core::primitives::spin_loop;
use runtime_core::task::Task;

use super::{Local, Remote, Shared};
use crate::deque::{BATCH_LIMIT, Stealer, Worker as Deque, retry};
use crate::policy::{Attempt, LifoSlot, Source, Steal};
use crate::seam::Hooks;
use crate::seam::facts::{Event, Origin, Pick};

/// How many times in a row the LIFO slot may come first. With more, two tasks that wake each other would keep their
/// worker from all other tasks.
const SLOT_STREAK: u32 = 16;
/// How many times a thief spins before it takes a task out of a LIFO slot: some microseconds.
const SLOT_SPINS: u32 = if cfg!(lab_shuttle) { 2 } else { 128 };

/// The result of a search: a task, or `None` for work that is not a task, which is then already done.
pub(crate) type Found = Option<Task>;

impl<H: Hooks> Local<H> {
    #[inline]
    pub(crate) fn take(&self, source: Source) -> Option<Task> {
        match source {
            Source::Slot => self.take_slot(),
            Source::Newest => self.queues.lifo.pop(),
            Source::Oldest => retry(|| self.remote.queues.lifo.steal()),
            Source::Front => self.queues.fifo.pop(),
            Source::Injected => self.take_injected(),
            Source::Ranked => H::take(&self.shared, self.index(), Pick::First),
            Source::Inbox => H::take(&self.shared, self.index(), Pick::Sent),
        }
    }

    /// The task in the LIFO slot. If the slot came first many times in a row, its task goes behind the others instead.
    #[inline]
    fn take_slot(&self) -> Option<Task> {
        let task = self.remote.queues.slot.take()?;
        let streak = self.slot_streak.get() + 1;
        if streak <= SLOT_STREAK {
            self.slot_streak.set(streak);
            H::observe(self, Event::SlotHit);
            return Some(task);
        }
        self.slot_streak.set(0);
        self.queues.fifo.push(task);
        self.queues.fifo.pop()
    }

    /// Any task of this worker, in no particular order.
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

    /// An injected task. If workers steal from one another, more injected tasks move to the FIFO queue.
    fn take_injected(&self) -> Option<Task> {
        let (injector, fifo) = (&self.shared.injector, &self.queues.fifo);
        if injector.is_empty() {
            return None;
        }
        if !self.shared.rules.steals {
            return retry(|| injector.steal());
        }
        let task = retry(|| injector.steal_batch_with_limit_and_pop(fifo, BATCH_LIMIT))?;
        if !fifo.is_empty() {
            self.shared.wake_helper();
        }
        Some(task)
    }

    pub(crate) fn attempt(&self, attempt: Attempt) -> Option<Found> {
        let (task, origin) = match attempt {
            Attempt::Injected => (self.take_injected(), Some(Origin::Outside)),
            Attempt::Steal(victim) => (self.steal(victim)?, Some(Origin::Worker(victim))),
            Attempt::StealSlot(victim) => (self.steal_slot(victim), None),
            Attempt::StealRanked(victim) => (self.steal_ranked(victim), None),
            Attempt::DueTimers => (self.fire_of_others(), None),
        };
        let has_done_other = || H::do_other_work(self, origin?).then_some(None);
        task.map(Some).or_else(has_done_other)
    }

    /// Another worker from which this one may take tasks. `None` for any other number.
    fn victim(&self, worker: usize) -> Option<&Remote<H>> {
        let may_steal = self.shared.rules.steals && worker != self.index();
        let active = may_steal.then(|| self.shared.active())?;
        active.get(worker).map(|remote| &**remote)
    }

    /// Steals a task of another worker. The outer `Option` is `None` if there is no such worker.
    fn steal(&self, worker: usize) -> Option<Option<Task>> {
        let Remote { queues, .. } = self.victim(worker)?;
        H::observe(self, Event::StealTried(worker));
        let shares_fifo = H::shares_fifo(&self.shared, worker);
        let woken = shares_fifo.then(|| self.steal_from(&queues.fifo, &self.queues.fifo));
        let spawned = || self.steal_from(&queues.lifo, &self.queues.lifo);
        let sorted = || self.stolen(H::take(&self.shared, worker, Pick::Any));
        Some(woken.flatten().or_else(spawned).or_else(sorted))
    }

    fn steal_from(&self, from: &Stealer<Task>, to: &Deque<Task>) -> Option<Task> {
        if from.is_empty() {
            return None;
        }
        let before = to.len();
        let task = match self.shared.rules.knobs.steal {
            Steal::Half => retry(|| from.steal_batch_with_limit_and_pop(to, BATCH_LIMIT))?,
            Steal::One => retry(|| from.steal())?,
        };
        H::observe(self, Event::Stole(to.len().saturating_sub(before) + 1));
        Some(task)
    }

    fn steal_ranked(&self, worker: usize) -> Option<Task> {
        self.victim(worker)?;
        H::observe(self, Event::StealTried(worker));
        self.stolen(H::take(&self.shared, worker, Pick::First))
    }

    /// The task in a victim's slot, if the victim stays in the same poll.
    fn steal_slot(&self, worker: usize) -> Option<Task> {
        let Remote { queues, polls, .. } = self.victim(worker)?;
        if self.shared.rules.knobs.lifo_slot != LifoSlot::On || !queues.slot.is_filled() {
            return None;
        }
        let before = polls.load(Relaxed);
        (0..SLOT_SPINS).for_each(|_| spin_loop());
        let is_stuck = polls.load(Relaxed) == before;
        self.stolen(is_stuck.then(|| queues.slot.take()).flatten())
    }

    fn stolen(&self, task: Option<Task>) -> Option<Task> {
        task.inspect(|_| H::observe(self, Event::Stole(1)))
    }

    /// Fires the other workers' timers that are due, into the FIFO queue. Returns one of the tasks that they woke.
    fn fire_of_others(&self) -> Option<Task> {
        for victim in self.victims() {
            self.fire_due(&self.shared.remotes[victim].timers);
        }
        self.queues.fifo.pop().or_else(|| self.take_injected())
    }
}

impl<H: Hooks> Shared<H> {
    /// Whether a thief would find a task at that worker. The slot does not count: it neither wakes a worker nor keeps
    /// one awake. The FIFO queue does not count while it is not shared.
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

    /// The last check of a worker that goes to sleep: whether there is anything that it may take.
    pub(crate) fn has_work_for_others(&self) -> bool {
        let has_work = |worker| {
            self.has_tasks(worker, H::shares_fifo(self, worker))
                || H::has_other_work(self, Origin::Worker(worker))
        };
        self.has_injected() || self.rules.steals && (0..self.active().len()).any(has_work)
    }
}
