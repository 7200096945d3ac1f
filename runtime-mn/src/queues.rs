//! What a worker takes from its own queues and from others', as its policy has decided.

use std::sync::atomic::Ordering::Relaxed;

use runtime_core::primitives::spin_loop;
use runtime_core::task::Task;

use crate::deque::{Steal as Stolen, Stealer, Worker as Deque};
use crate::fork_join::JobRef;
use crate::knobs::{LifoSlot, Steal};
use crate::local::Local;
use crate::policy::{Attempt, SearchView, Source};
use crate::remote::{Remote, add};

/// How often in a row the LIFO slot comes first. More, and two tasks that wake each other keep all others from their
/// worker.
const SLOT_STREAK: u32 = 16;
/// Every so many ticks one of the worker's own queues has its turn, whatever the policy chooses.
const OWN_TURN: u32 = 32;
/// The most tasks that a thief takes at once.
const STEAL_LIMIT: usize = 32;
/// How many times a thief spins before it takes a task out of a LIFO slot: some microseconds.
const SLOT_PATIENCE: u32 = if cfg!(lab_shuttle) { 2 } else { 128 };

/// Something to do, found in a search.
#[derive(Debug)]
pub(crate) enum Work {
    Task(Task),
    Closure(JobRef),
}

impl Local {
    // ---- from its own queues

    /// Takes a task from there, if there is one.
    #[inline]
    pub(crate) fn take(&self, source: Source) -> Option<Task> {
        match source {
            Source::Slot => self.take_slot(),
            Source::Newest => self.spawned.pop(),
            Source::Oldest => retry(|| self.remote().spawned.steal()),
            Source::Front => self.woken.pop(),
            Source::Injected => self.take_injected(),
        }
    }

    /// Every 32nd tick, from one of the own queues in turn: no policy starves a task. Every other turn is that of the
    /// oldest spawned one, as newest first is what most policies do.
    #[inline]
    pub(crate) fn take_in_turn(&self) -> Option<Task> {
        let tick = self.tick.get();
        if !tick.is_multiple_of(OWN_TURN) {
            return None;
        }
        self.take(match tick / OWN_TURN % 4 {
            0 | 2 => Source::Oldest,
            1 => Source::Front,
            _ => Source::Slot,
        })
    }

    /// The task in the LIFO slot, unless the slot came first many times in a row: then that task goes behind the
    /// others.
    #[inline]
    fn take_slot(&self) -> Option<Task> {
        let task = self.remote().slot.take()?;
        let streak = self.slot_streak.get() + 1;
        if streak <= SLOT_STREAK {
            self.slot_streak.set(streak);
            add(&self.remote().counters.lifo_hits, 1);
            return Some(task);
        }
        self.slot_streak.set(0);
        self.woken.push(task);
        self.woken.pop()
    }

    /// An injected task. If workers steal from one another, more of them come along into the `woken` queue.
    pub(crate) fn take_injected(&self) -> Option<Task> {
        let injector = &self.shared.injector;
        if injector.is_empty() {
            return None;
        }
        if !self.shared.steals {
            return retry(|| injector.steal());
        }
        let task = retry(|| injector.steal_batch_with_limit_and_pop(&self.woken, STEAL_LIMIT))?;
        if !self.woken.is_empty() {
            self.shared.tell();
        }
        Some(task)
    }

    // ---- from elsewhere

    /// Looks for work in that place.
    pub(crate) fn attempt(&self, attempt: Attempt) -> Option<Work> {
        match attempt {
            Attempt::Injected => {
                let task = self.take_injected().map(Work::Task);
                task.or_else(|| retry(|| self.shared.job_injector.steal()).map(Work::Closure))
            }
            Attempt::Steal(victim) => self.steal(victim),
            Attempt::StealSlot(victim) => self.steal_slot(victim).map(Work::Task),
            Attempt::DueTimers => self.fire_of_others().map(Work::Task),
        }
    }

    /// Another worker that this one may take from; `None` for any other number.
    fn victim(&self, worker: usize) -> Option<&Remote> {
        let may_steal = self.shared.steals && worker != self.index;
        may_steal.then(|| self.shared.reach().get(worker)).flatten()
    }

    fn steal(&self, worker: usize) -> Option<Work> {
        let victim = self.victim(worker)?;
        let counters = &self.remote().counters;
        add(&counters.steals_tried, 1);
        let shares_woken = !self.shared.keeper.is(worker);
        let found = shares_woken
            .then(|| self.take_from(&victim.woken, &self.woken))
            .flatten()
            .or_else(|| self.take_from(&victim.spawned, &self.spawned))
            .map(Work::Task)
            .or_else(|| retry(|| victim.jobs.steal()).map(Work::Closure))?;
        add(&counters.steals_done, 1);
        Some(found)
    }

    fn take_from(&self, from: &Stealer<Task>, to: &Deque<Task>) -> Option<Task> {
        if from.is_empty() {
            return None;
        }
        let before = to.len();
        let task = match self.shared.knobs.steal {
            Steal::Half => retry(|| from.steal_batch_with_limit_and_pop(to, STEAL_LIMIT))?,
            Steal::One => retry(|| from.steal())?,
        };
        let taken = to.len().saturating_sub(before) + 1;
        add(&self.remote().counters.tasks_stolen, taken as u64);
        Some(task)
    }

    fn steal_slot(&self, worker: usize) -> Option<Task> {
        let victim = self.victim(worker)?;
        if self.shared.knobs.lifo_slot != LifoSlot::On || !victim.slot.is_filled() {
            return None;
        }
        let polls = victim.counters.polls.load(Relaxed);
        for _ in 0..SLOT_PATIENCE {
            spin_loop();
        }
        if victim.counters.polls.load(Relaxed) != polls {
            return None;
        }
        let task = victim.slot.take()?;
        let counters = &self.remote().counters;
        add(&counters.steals_done, 1);
        add(&counters.tasks_stolen, 1);
        Some(task)
    }

    /// Fires the other workers' timers that are due, into the `woken` queue; gives one of the tasks that they woke.
    fn fire_of_others(&self) -> Option<Task> {
        for victim in SearchView(self).victims() {
            let timers = &self.shared.remotes[victim].timers;
            if timers.next_deadline().is_some() {
                self.fire(timers);
            }
        }
        self.woken.pop().or_else(|| self.take_injected())
    }

    /// Takes one forked closure of anybody's, for a worker that waits for one which was stolen from it.
    pub(crate) fn steal_closure(&self) -> Option<JobRef> {
        retry(|| self.shared.job_injector.steal()).or_else(|| {
            SearchView(self)
                .victims()
                .find_map(|victim| retry(|| self.shared.remotes[victim].jobs.steal()))
        })
    }

    /// Takes over what a stuck worker has queued, as much as fits; the rest can be stolen like any other's.
    pub(crate) fn take_over(&self, stuck: usize) {
        let remote = &self.shared.remotes[stuck];
        for (from, to) in [
            (&remote.woken, &self.woken),
            (&remote.spawned, &self.spawned),
        ] {
            // Batches are of half of what is left, so the loop ends after a few.
            while !from.is_empty() {
                let before = to.len();
                if let Stolen::Empty = from.steal_batch(to) {
                    break;
                }
                add(
                    &self.remote().counters.tasks_stolen,
                    to.len().saturating_sub(before) as u64,
                );
            }
        }
        if let Some(task) = remote.slot.take() {
            self.woken.push(task);
        }
        self.fire(&remote.timers);
    }

    /// xorshift64
    pub(crate) fn random(&self) -> usize {
        let mut random = self.random.get();
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        self.random.set(random);
        (random >> 32) as usize
    }
}

pub(crate) fn retry<T>(mut steal: impl FnMut() -> Stolen<T>) -> Option<T> {
    loop {
        match steal() {
            Stolen::Success(stolen) => return Some(stolen),
            Stolen::Empty => return None,
            Stolen::Retry => spin_loop(),
        }
    }
}
