//! What a worker takes from its own queues, from the injector and from other workers, as its policy has decided.

use std::sync::atomic::Ordering::Relaxed;

use runtime_core::primitives::spin_loop;
use runtime_core::task::Task;

use super::Local;
use super::queues::{BATCH_LIMIT, WorkerQueues, retry};
use crate::deque::{Stealer, Worker as Deque};
use crate::policy::{Attempt, LifoSlot, Source, Steal};
use crate::seam::Hooks;
use crate::seam::facts::{Event, Origin};

/// How often in a row the LIFO slot comes first. More, and two tasks that wake each other keep all others from their
/// worker.
const SLOT_STREAK: u32 = 16;
/// Every so many ticks one of the worker's own queues has its turn, whatever the policy chooses.
const OWN_TURN: u32 = 32;
/// How many times a thief spins before it takes a task out of a LIFO slot: some microseconds.
const SLOT_SPINS: u32 = if cfg!(lab_shuttle) { 2 } else { 128 };

/// What a search has led to.
pub(crate) enum Found {
    Task(Task),
    /// Work that is no task. It is done.
    OtherWork,
}

impl<H: Hooks> Local<H> {
    // ---- From its own queues

    #[inline]
    pub(crate) fn take(&self, source: Source) -> Option<Task> {
        match source {
            Source::Slot => self.take_slot(),
            Source::Newest => self.queues.lifo.pop(),
            Source::Oldest => retry(|| self.queues.shared.lifo.steal()),
            Source::Front => self.queues.fifo.pop(),
            Source::Injected => self.take_injected(),
            Source::Ranked => self.queues.shared.ranked.pop_first(),
            Source::Inbox => retry(|| self.queues.shared.inbox.steal()),
        }
    }

    /// Every 32nd tick, from one of the own queues in turn: no policy starves a task. Every other turn is that of the
    /// oldest LIFO task, as newest first is what most policies do.
    #[inline]
    pub(crate) fn take_in_turn(&self) -> Option<Task> {
        let tick = self.queues.tick.get();
        if !tick.is_multiple_of(OWN_TURN) {
            return None;
        }
        let shared = &self.queues.shared;
        match tick / OWN_TURN % 8 {
            0 | 2 | 4 | 6 => self.take(Source::Oldest),
            1 => self.take(Source::Front),
            3 => self.take(Source::Slot),
            // The oldest, not the first: no rank starves a task.
            5 => shared
                .ranked
                .pop_oldest()
                .or_else(|| self.take(Source::Front)),
            _ => self.take(Source::Inbox).or_else(|| self.take(Source::Slot)),
        }
    }

    /// The task in the LIFO slot, unless the slot came first many times in a row: then that task goes behind the
    /// others.
    #[inline]
    fn take_slot(&self) -> Option<Task> {
        let task = self.queues.slot().take()?;
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

    /// An injected task. If workers steal from one another, more come along into the FIFO queue.
    pub(crate) fn take_injected(&self) -> Option<Task> {
        let (injector, fifo) = (&self.queues.all.injector, &self.queues.fifo);
        if injector.is_empty() {
            return None;
        }
        if !self.shared.steals {
            return retry(|| injector.steal());
        }
        let task = retry(|| injector.steal_batch_with_limit_and_pop(fifo, BATCH_LIMIT))?;
        if !fifo.is_empty() {
            self.shared.wake_helper();
        }
        Some(task)
    }

    // ---- From elsewhere

    /// Looks in that place.
    pub(crate) fn attempt(&self, attempt: Attempt) -> Option<Found> {
        match attempt {
            Attempt::Injected => {
                let task = self.take_injected().map(Found::Task);
                task.or_else(|| self.other_work(Origin::Outside))
            }
            Attempt::Steal(victim) => self.steal(victim),
            Attempt::StealSlot(victim) => self.steal_slot(victim).map(Found::Task),
            Attempt::StealRanked(victim) => self.steal_ranked(victim).map(Found::Task),
            Attempt::DueTimers => self.fire_of_others().map(Found::Task),
        }
    }

    fn other_work(&self, origin: Origin) -> Option<Found> {
        H::do_other_work(self, origin).then_some(Found::OtherWork)
    }

    /// Another worker that this one may take from; `None` for any other number.
    fn victim(&self, worker: usize) -> Option<&WorkerQueues> {
        let may_steal = self.shared.steals && worker != self.index();
        let queues = may_steal.then(|| self.queues.all.active().get(worker));
        queues.flatten().map(|queues| &**queues)
    }

    fn steal(&self, worker: usize) -> Option<Found> {
        let (victim, own) = (self.victim(worker)?, &self.queues);
        H::observe(self, Event::StealTried(worker));
        let shares_fifo = H::shares_fifo(&self.shared, worker);
        let fifo = shares_fifo
            .then(|| self.take_from(&victim.fifo, &own.fifo))
            .flatten();
        let task = fifo
            .or_else(|| self.take_from(&victim.lifo, &own.lifo))
            .or_else(|| self.stolen(victim.take_sorted()));
        let found = task.map(Found::Task);
        found.or_else(|| self.other_work(Origin::Worker(worker)))
    }

    fn take_from(&self, from: &Stealer<Task>, to: &Deque<Task>) -> Option<Task> {
        if from.is_empty() {
            return None;
        }
        let before = to.len();
        let task = match self.shared.knobs.steal {
            Steal::Half => retry(|| from.steal_batch_with_limit_and_pop(to, BATCH_LIMIT))?,
            Steal::One => retry(|| from.steal())?,
        };
        let batch = to.len().saturating_sub(before) + 1;
        H::observe(self, Event::Stole(batch));
        Some(task)
    }

    fn steal_ranked(&self, worker: usize) -> Option<Task> {
        let victim = self.victim(worker)?;
        H::observe(self, Event::StealTried(worker));
        self.stolen(victim.ranked.pop_first())
    }

    fn stolen(&self, task: Option<Task>) -> Option<Task> {
        task.inspect(|_| H::observe(self, Event::Stole(1)))
    }

    /// The task in a victim's slot, if the victim is in a poll that goes on.
    fn steal_slot(&self, worker: usize) -> Option<Task> {
        let victim = self.victim(worker)?;
        if self.shared.knobs.lifo_slot != LifoSlot::On || !victim.slot.is_filled() {
            return None;
        }
        let polls = &self.shared.remotes[worker].polls;
        let before = polls.load(Relaxed);
        for _ in 0..SLOT_SPINS {
            spin_loop();
        }
        if polls.load(Relaxed) != before {
            return None;
        }
        self.stolen(victim.slot.take())
    }

    /// Fires the other workers' timers that are due, into the FIFO queue. Returns one of the tasks that they woke.
    fn fire_of_others(&self) -> Option<Task> {
        for victim in self.queues.victims() {
            let timers = &self.shared.remotes[victim].timers;
            if timers.next_deadline().is_some() {
                self.fire(timers);
            }
        }
        self.queues.fifo.pop().or_else(|| self.take_injected())
    }
}
