//! A worker's queues as its policy sees them.

use std::sync::atomic::Ordering::Relaxed;

use runtime_core::primitives::spin_loop;
use runtime_core::task::Task;

use crate::deque::{Steal as Stolen, Stealer, Worker as Deque};
use crate::fork_join::JobRef;
use crate::knobs::{LifoSlot, Steal};
use crate::local::Local;
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
const SLOT_PATIENCE: u32 = if cfg!(lab_shuttle) { 2 } else { 128 };

/// Something to do, found in a search.
#[derive(Debug)]
pub struct Found(pub(crate) Work);

#[derive(Debug)]
pub(crate) enum Work {
    Task(Task),
    Closure(JobRef),
}

/// The calling worker's own queues, and the injector.
#[derive(Clone, Copy, Debug)]
pub struct Queues<'a>(pub(crate) &'a Local);

impl Queues<'_> {
    /// How many times this worker has looked for its next task.
    #[inline]
    pub fn tick(&self) -> u32 {
        self.0.tick.get()
    }

    /// Tasks in the `spawned` deque.
    pub fn spawned_len(&self) -> usize {
        self.0.spawned.len()
    }

    /// Tasks in the `woken` queue.
    pub fn woken_len(&self) -> usize {
        self.0.woken.len()
    }

    /// Every 64th tick the oldest spawned task, every 8th the oldest woken one; otherwise nothing.
    #[inline]
    pub fn overdue(&self) -> Option<Task> {
        let tick = self.tick();
        if !tick.is_multiple_of(WOKEN_TICK) {
            return None;
        }
        if tick.is_multiple_of(OLDEST_TICK)
            && let Some(task) = self.oldest()
        {
            return Some(task);
        }
        self.front()
    }

    /// The task in the LIFO slot, unless it came first many times in a row: then it goes behind the others.
    #[inline]
    pub fn slot(&self) -> Option<Task> {
        let local = self.0;
        let Some(task) = local.remote().slot.take() else {
            local.slot_streak.set(0);
            return None;
        };
        let streak = local.slot_streak.get() + 1;
        if streak <= SLOT_STREAK {
            local.slot_streak.set(streak);
            add(&local.remote().counters.lifo_hits, 1);
            return Some(task);
        }
        local.slot_streak.set(0);
        local.woken.push(task);
        local.woken.pop()
    }

    /// The newest task of the `spawned` deque.
    #[inline]
    pub fn newest(&self) -> Option<Task> {
        self.0.spawned.pop()
    }

    /// The oldest task of the `spawned` deque.
    pub fn oldest(&self) -> Option<Task> {
        retry(|| self.0.remote().spawned.steal())
    }

    /// The oldest task of the `woken` queue.
    #[inline]
    pub fn front(&self) -> Option<Task> {
        self.0.woken.pop()
    }

    /// An injected task. If workers steal from one another, more of them come along into the `woken` queue.
    pub fn injected(&self) -> Option<Task> {
        let local = self.0;
        let injector = &local.shared.injector;
        if injector.is_empty() {
            return None;
        }
        if !local.shared.steals {
            return retry(|| injector.steal());
        }
        let task = retry(|| injector.steal_batch_with_limit_and_pop(&local.woken, STEAL_LIMIT))?;
        if !local.woken.is_empty() {
            local.shared.tell();
        }
        Some(task)
    }
}

/// A worker that looks for work elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Thief<'a>(pub(crate) &'a Local);

impl<'a> Thief<'a> {
    /// What other threads have injected: a task, or a closure of fork-join.
    pub fn injected(&self) -> Option<Found> {
        let task = Queues(self.0).injected().map(Work::Task);
        task.or_else(|| retry(|| self.0.shared.job_injector.steal()).map(Work::Closure))
            .map(Found)
    }

    /// All other workers, beginning at a random one.
    pub fn victims(&self) -> impl Iterator<Item = Victim<'a>> + use<'a> {
        let thief = self.0;
        let workers = thief.shared.reach().len();
        let start = thief.random() % workers;
        (0..workers)
            .map(move |offset| (start + offset) % workers)
            .filter(move |victim| *victim != thief.index)
            .map(move |index| Victim {
                thief,
                index,
                remote: &thief.shared.remotes[index],
            })
    }

    /// One other worker, drawn at random.
    pub fn random_victim(&self) -> Option<Victim<'a>> {
        self.victims().next()
    }

    /// Fires the other workers' timers that are due, into the `woken` queue; gives one of the tasks that they woke.
    pub fn due_timers(&self) -> Option<Found> {
        for victim in self.victims() {
            if victim.remote.timers.next_deadline().is_some() {
                self.0.fire(&victim.remote.timers);
            }
        }
        let task = self.0.woken.pop().or_else(|| Queues(self.0).injected())?;
        Some(Found(Work::Task(task)))
    }
}

/// Another worker, as a thief sees it.
#[derive(Clone, Copy, Debug)]
pub struct Victim<'a> {
    thief: &'a Local,
    index: usize,
    remote: &'a Remote,
}

impl Victim<'_> {
    /// How many tasks it has queued, at this moment.
    pub fn queued(&self) -> usize {
        self.remote.queue_depth()
    }

    /// What it has queued: woken tasks first, then spawned ones, then closures. As many as the knob `steal` says come along. Who serves the
    /// sockets without help ([`SocketHelp`](crate::policy::SocketHelp)) gives no woken tasks, and nobody gives spawned ones while stealing
    /// them does not pay ([`Knobs::steal_cost`](crate::policy::Knobs::steal_cost)).
    pub fn steal(&self) -> Option<Found> {
        let counters = &self.thief.remote().counters;
        add(&counters.steals_tried, 1);
        let shares_woken = !self.thief.shared.keeper.is(self.index);
        let found = shares_woken
            .then(|| self.take(&self.remote.woken, &self.thief.woken))
            .flatten()
            .or_else(|| self.take_spawned())
            .map(Work::Task)
            .or_else(|| retry(|| self.remote.jobs.steal()).map(Work::Closure))?;
        add(&counters.steals_done, 1);
        Some(Found(found))
    }

    /// The task in its LIFO slot, if the worker is stuck in a poll (and the knob allows it). A worker that goes on polling is about
    /// to run that task, as a rule, and two tasks that wake each other are best left where they are.
    pub fn steal_slot(&self) -> Option<Found> {
        let remote = self.remote;
        if self.thief.shared.knobs.lifo_slot != LifoSlot::On || !remote.slot.is_filled() {
            return None;
        }
        let polls = remote.counters.polls.load(Relaxed);
        for _ in 0..SLOT_PATIENCE {
            spin_loop();
        }
        if remote.counters.polls.load(Relaxed) != polls {
            return None;
        }
        let task = remote.slot.take()?;
        let counters = &self.thief.remote().counters;
        add(&counters.steals_done, 1);
        add(&counters.tasks_stolen, 1);
        Some(Found(Work::Task(task)))
    }

    /// Unless that has lately brought in too little.
    fn take_spawned(&self) -> Option<Task> {
        let (thief, shared) = (self.thief, &*self.thief.shared);
        if self.remote.spawned.is_empty() || shared.hauls.rests(|| shared.now_ns()) {
            return None;
        }
        let task = self.take(&self.remote.spawned, &thief.spawned)?;
        shared.hauls.begin(&thief.haul, || shared.now_ns());
        Some(task)
    }

    fn take(&self, from: &Stealer<Task>, to: &Deque<Task>) -> Option<Task> {
        if from.is_empty() {
            return None;
        }
        let before = to.len();
        let task = match self.thief.shared.knobs.steal {
            Steal::Half => retry(|| from.steal_batch_with_limit_and_pop(to, STEAL_LIMIT))?,
            Steal::One => retry(|| from.steal())?,
        };
        add(
            &self.thief.remote().counters.tasks_stolen,
            (to.len() - before + 1) as u64,
        );
        Some(task)
    }
}

impl Local {
    /// Takes one forked closure of anybody's, for a worker that waits for one which was stolen from it.
    pub(crate) fn steal_closure(&self) -> Option<JobRef> {
        retry(|| self.shared.job_injector.steal()).or_else(|| {
            Thief(self)
                .victims()
                .find_map(|victim| retry(|| victim.remote.jobs.steal()))
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
    fn random(&self) -> usize {
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
