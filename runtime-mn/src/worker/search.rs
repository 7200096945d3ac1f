//! Where a worker looks for something to run, in which order.

use std::sync::atomic::Ordering::Relaxed;

use crossbeam_deque::{Steal, Stealer, Worker as Deque};
use runtime_core::task::Task;

use super::{Work, Worker};
use crate::fork_join::JobRef;
use crate::remote::{Remote, add};

/// How often in a row the LIFO slot comes first. More, and two tasks that wake each other keep all others from their worker.
const SLOT_STREAK: u32 = 16;
/// Every so many ticks the oldest woken task comes before the newest spawned one.
const WOKEN_TICK: u32 = 8;
/// Every so many ticks the oldest spawned task comes before all others.
const OLDEST_TICK: u32 = 64;
/// The most tasks that a thief takes at once.
const STEAL_LIMIT: usize = 32;
/// How many times a thief spins before it takes a task out of a LIFO slot: some microseconds.
const SLOT_PATIENCE: u32 = 128;

impl Worker {
    /// The next task of this worker's own, or an injected one.
    pub(super) fn next_task(&self) -> Option<Task> {
        let tick = self.tick.get().wrapping_add(1);
        self.tick.set(tick);
        if tick.is_multiple_of(self.shared.injector_tick) {
            self.drive_without_waiting();
            if let Some(task) = self.take_injected() {
                return Some(task);
            }
        }
        if tick.is_multiple_of(OLDEST_TICK)
            && let Steal::Success(task) = self.remote().spawned.steal()
        {
            return Some(task);
        }
        if tick.is_multiple_of(WOKEN_TICK)
            && let Some(task) = self.woken.pop()
        {
            return Some(task);
        }
        self.take_slot()
            .or_else(|| self.spawned.pop())
            .or_else(|| self.woken.pop())
            .or_else(|| self.take_injected())
    }

    /// The task in the LIFO slot, unless it is the turn of others.
    #[inline]
    fn take_slot(&self) -> Option<Task> {
        let Some(task) = self.remote().slot.take() else {
            self.slot_streak.set(0);
            return None;
        };
        let streak = self.slot_streak.get() + 1;
        if streak <= SLOT_STREAK {
            self.slot_streak.set(streak);
            return Some(task);
        }
        self.slot_streak.set(0);
        self.woken.push(task);
        self.woken.pop()
    }

    /// An injected task; more of them come along into the own queue.
    fn take_injected(&self) -> Option<Task> {
        let injector = &self.shared.injector;
        if injector.is_empty() {
            return None;
        }
        let task = retry(|| injector.steal_batch_with_limit_and_pop(&self.woken, STEAL_LIMIT))?;
        if !self.woken.is_empty() {
            self.shared.notify_one();
        }
        Some(task)
    }

    /// Looks at everybody's queues, if not enough workers do so already.
    ///
    /// 1. What other threads injected, tasks and closures.
    /// 2. Another worker's woken, spawned, or forked.
    /// 3. Another worker's timers that are due.
    /// 4. Another worker's LIFO slot.
    pub(super) fn search(&self) -> Option<Work> {
        if !self.searching.get() {
            if !self.shared.idle.start_searching() {
                return None;
            }
            self.searching.set(true);
        }
        let victims = self.victims();
        self.take_injected()
            .map(Work::Task)
            .or_else(|| retry(|| self.shared.job_injector.steal()).map(Work::Job))
            .or_else(|| victims.clone().find_map(|victim| self.steal_from(victim)))
            .or_else(|| self.fire_timers_of(victims.clone()).map(Work::Task))
            .or_else(|| {
                victims
                    .clone()
                    .find_map(|victim| self.steal_slot_of(victim))
            })
    }

    /// The other workers, from a random one on.
    fn victims(&self) -> impl Iterator<Item = &Remote> + Clone {
        let remotes = &self.shared.remotes;
        // xorshift64
        let mut random = self.random.get();
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        self.random.set(random);
        let start = (random >> 32) as usize % remotes.len();
        (0..remotes.len())
            .map(move |offset| (start + offset) % remotes.len())
            .filter(|victim| *victim != self.index)
            .map(|victim| &remotes[victim])
    }

    fn steal_from(&self, victim: &Remote) -> Option<Work> {
        self.steal_batch(&victim.woken, &self.woken)
            .or_else(|| self.steal_batch(&victim.spawned, &self.spawned))
            .map(Work::Task)
            .or_else(|| retry(|| victim.jobs.steal()).map(Work::Job))
    }

    fn steal_batch(&self, from: &Stealer<Task>, to: &Deque<Task>) -> Option<Task> {
        if from.is_empty() {
            return None;
        }
        let before = to.len();
        let task = retry(|| from.steal_batch_with_limit_and_pop(to, STEAL_LIMIT))?;
        add(
            &self.remote().counters.tasks_stolen,
            (to.len() - before + 1) as u64,
        );
        Some(task)
    }

    fn fire_timers_of<'a>(&self, victims: impl Iterator<Item = &'a Remote>) -> Option<Task> {
        for victim in victims {
            if victim.timers.next_deadline().is_some() {
                self.fire(&victim.timers);
            }
        }
        self.woken.pop()
    }

    /// Takes the task that stands in a LIFO slot, if its worker is stuck in a poll. A worker that goes on polling is about to
    /// run it, as a rule, and two tasks that wake each other are best left where they are.
    fn steal_slot_of(&self, victim: &Remote) -> Option<Work> {
        if !victim.slot.is_filled() {
            return None;
        }
        let polls = victim.counters.polls.load(Relaxed);
        for _ in 0..SLOT_PATIENCE {
            std::hint::spin_loop();
        }
        if victim.counters.polls.load(Relaxed) != polls {
            return None;
        }
        let task = victim.slot.take()?;
        add(&self.remote().counters.tasks_stolen, 1);
        Some(Work::Task(task))
    }

    /// Takes one forked closure of anybody's, for a worker that waits for one which was stolen from it.
    pub(crate) fn steal_job(&self) -> Option<JobRef> {
        retry(|| self.shared.job_injector.steal()).or_else(|| {
            self.victims()
                .find_map(|victim| retry(|| victim.jobs.steal()))
        })
    }
}

fn retry<T>(mut steal: impl FnMut() -> Steal<T>) -> Option<T> {
    loop {
        match steal() {
            Steal::Success(stolen) => return Some(stolen),
            Steal::Empty => return None,
            Steal::Retry => std::hint::spin_loop(),
        }
    }
}
