//! Why a task had to wait: what the scheduler did between the time when the task became due and its poll.

use std::collections::{HashMap, HashSet};

use super::dag::{Dag, EdgeKind, SLOT, Strand};
use crate::trace::{Kind, Run, ThreadKind};

/// The reason why a task did not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It was in the slot of a worker that ran another task for most of the wait.
    LifoSlot {
        /// The other task, as an index into [`Run::tasks`].
        behind: usize,
        /// How long the other task computed meanwhile.
        computed_ns: u64,
    },
    /// Tasks that entered the slot later ran first.
    LifoChain {
        /// How many of them.
        overtaken: usize,
    },
    /// One poll occupied the thread that the task waited for.
    BlockedWorker {
        /// The task of that poll.
        by: usize,
        /// How long that task computed meanwhile.
        computed_ns: u64,
    },
    /// Its timer fired late, or was noticed late.
    LateTimer {
        /// The task that ran meanwhile, if one did for most of that time.
        during: Option<usize>,
    },
    /// Many tasks were woken at once, and most of them had nothing to do.
    Herd {
        /// The number of polls that did nothing.
        in_vain: usize,
    },
    /// The waiters of a lock got it one after another, each by a hand-over.
    Convoy {
        /// The lock's number.
        lock: i64,
        /// Hand-overs before the task's own.
        hand_overs: usize,
    },
    /// One task held the lock for most of the time.
    LongHolder {
        /// The lock's number.
        lock: i64,
        /// The holder.
        by: usize,
    },
    /// Tasks, or events of the poller, were taken one at a time although more were available.
    MissedBatch {
        /// How many takes.
        takes: usize,
        /// True for events of the poller, false for steals.
        of_poller: bool,
    },
    /// A worker slept while the task was due.
    SleepingWorker {
        /// How long it slept.
        slept_ns: u64,
    },
    /// Other tasks ran before it on the same threads.
    Turn {
        /// How many polls.
        polls: usize,
    },
    /// The kernel did not run its thread (1:1).
    Kernel,
}

impl Cause {
    /// The short name of the kind.
    pub fn name(&self) -> &'static str {
        match self {
            Self::LifoSlot { .. } | Self::LifoChain { .. } => "LIFO slot",
            Self::BlockedWorker { .. } => "blocked worker",
            Self::LateTimer { .. } => "late timer",
            Self::Herd { .. } => "herd",
            Self::Convoy { .. } => "convoy",
            Self::LongHolder { .. } => "long holder",
            Self::MissedBatch { .. } => "missed batch",
            Self::SleepingWorker { .. } => "sleeping worker",
            Self::Turn { .. } => "turn",
            Self::Kernel => "kernel",
        }
    }
}

/// With fewer useless polls there is no herd, and with fewer hand-overs no convoy.
const MANY: usize = 3;

/// The events of one run, indexed for finding causes.
pub(super) struct Evidence<'a> {
    run: &'a Run,
    dag: &'a Dag,
    /// Strands by thread, in order of time.
    on_thread: HashMap<u32, Vec<usize>>,
    /// Strands that spawned, woke or ended something.
    effective: HashSet<usize>,
    locks: Vec<LockTurn>,
    kinds: HashMap<u32, ThreadKind>,
}

/// One task's acquisition of a lock: waiting for it, getting it, releasing it.
#[derive(Clone, Copy, Debug)]
pub(super) struct LockTurn {
    pub(super) task: usize,
    pub(super) lock: i64,
    /// When it began to wait; `None` if the lock was free.
    pub(super) waits_ns: Option<u64>,
    pub(super) got_ns: u64,
    pub(super) released_ns: Option<u64>,
}

impl<'a> Evidence<'a> {
    pub(super) fn of(run: &'a Run, dag: &'a Dag) -> Self {
        let mut on_thread: HashMap<u32, Vec<usize>> = HashMap::new();
        let mut effective = HashSet::new();
        for (index, strand) in dag.strands.iter().enumerate() {
            on_thread.entry(strand.thread).or_default().push(index);
            if !strand.is_pending {
                effective.insert(index);
            }
            let edges = dag.edges_into(index).iter();
            let caused = edges.filter(|it| matches!(it.kind, EdgeKind::Spawn | EdgeKind::Wake));
            effective.extend(caused.map(|edge| edge.from));
        }
        Self {
            run,
            dag,
            on_thread,
            effective,
            locks: lock_turns(run),
            kinds: run.threads.iter().map(|it| (it.id, it.kind)).collect(),
        }
    }

    pub(super) fn locks(&self) -> &[LockTurn] {
        &self.locks
    }

    /// Why the poll that begins with this strand came so long after its task became due.
    pub(super) fn of_poll(&self, strand: usize, other: &Self) -> Cause {
        let it = &self.dag.strands[strand];
        let window = (it.queued_ns.unwrap_or(it.begin_ns), it.begin_ns);
        let owner = it.queue.and_then(|queue| queue.owner);
        let long = self.long_poll(owner.into_iter().chain([it.thread]), window, Some(it.task));
        let in_slot = it.queue.is_some_and(|queue| queue.place == SLOT);
        if let Some((by, computed_ns)) = long {
            return if in_slot {
                Cause::LifoSlot {
                    behind: by,
                    computed_ns,
                }
            } else {
                Cause::BlockedWorker { by, computed_ns }
            };
        }
        if self.has_own_thread(it.thread) {
            return Cause::Kernel;
        }
        let between = self.polls_between(window);
        self.herd(&between)
            .or_else(|| self.lifo_chain(it, window, &between))
            .or_else(|| self.missed_batch(window, other))
            .or_else(|| self.sleeping_worker(window))
            .unwrap_or(Cause::Turn {
                polls: between.len(),
            })
    }

    /// Why a timer that was set at the start of the window was noticed only at its end.
    pub(super) fn of_timer(&self, thread: u32, window: (u64, u64), late_ns: u64) -> Cause {
        let late = (window.1.saturating_sub(late_ns), window.1);
        Cause::LateTimer {
            during: self.long_poll([thread], late, None).map(|(task, _)| task),
        }
    }

    /// Why the task got the lock so late.
    pub(super) fn of_lock(&self, turn: LockTurn) -> Cause {
        let (from, until) = (turn.waits_ns.unwrap_or(turn.got_ns), turn.got_ns);
        let others = || {
            self.locks
                .iter()
                .filter(move |it| it.lock == turn.lock && it.task != turn.task)
        };
        let longest = others()
            .map(|it| {
                let end = it.released_ns.unwrap_or(until);
                (overlap((it.got_ns, end), (from, until)), it.task)
            })
            .max();
        if let Some((held, by)) = longest
            && 2 * held >= until - from
        {
            return Cause::LongHolder {
                lock: turn.lock,
                by,
            };
        }
        let hand_overs = others()
            .filter(|it| it.waits_ns.is_some() && (from..until).contains(&it.got_ns))
            .count();
        Cause::Convoy {
            lock: turn.lock,
            hand_overs,
        }
    }

    /// The task, other than `task`, whose poll on one of these threads takes at least half of the window.
    fn long_poll(
        &self,
        threads: impl IntoIterator<Item = u32>,
        window: (u64, u64),
        task: Option<usize>,
    ) -> Option<(usize, u64)> {
        let length = window.1.saturating_sub(window.0);
        let strands = threads
            .into_iter()
            .flat_map(|thread| self.on_thread_between(thread, window));
        strands
            .filter(|&it| Some(self.dag.strands[it].task) != task)
            .map(|it| {
                let strand = &self.dag.strands[it];
                (
                    overlap((strand.begin_ns, strand.end_ns), window),
                    strand.task,
                )
            })
            .max()
            .filter(|(ns, _)| length > 0 && 2 * ns >= length)
            .map(|(ns, task)| (task, ns))
    }

    fn on_thread_between(
        &self,
        thread: u32,
        window: (u64, u64),
    ) -> impl Iterator<Item = usize> + '_ {
        let strands = self.on_thread.get(&thread).map_or(&[][..], Vec::as_slice);
        let first = strands.partition_point(|&it| self.dag.strands[it].end_ns <= window.0);
        strands[first..]
            .iter()
            .copied()
            .take_while(move |&it| self.dag.strands[it].begin_ns < window.1)
    }

    /// Strands that ran within the window on any thread, by thread and time.
    fn polls_between(&self, window: (u64, u64)) -> Vec<usize> {
        let mut threads: Vec<_> = self.on_thread.keys().copied().collect();
        threads.sort_unstable();
        threads
            .into_iter()
            .flat_map(|thread| self.on_thread_between(thread, window))
            .collect()
    }

    /// Most of the strands were woken and did nothing.
    fn herd(&self, between: &[usize]) -> Option<Cause> {
        let woken = |it: &&usize| {
            let edges = self.dag.edges_into(**it).iter();
            edges
                .map(|edge| edge.kind)
                .any(|kind| matches!(kind, EdgeKind::Wake | EdgeKind::Latency(_)))
        };
        let in_vain = between
            .iter()
            .filter(|it| !self.effective.contains(it))
            .filter(woken)
            .count();
        (in_vain >= MANY && 2 * in_vain >= between.len()).then_some(Cause::Herd { in_vain })
    }

    /// Tasks from the slot ran first, although they became due later.
    fn lifo_chain(&self, it: &Strand, window: (u64, u64), between: &[usize]) -> Option<Cause> {
        let overtakes = |other: &&usize| {
            let other = &self.dag.strands[**other];
            let from_slot = other.queue.is_some_and(|queue| queue.place == SLOT);
            from_slot && other.queued_ns > it.queued_ns && other.begin_ns < window.1
        };
        let overtaken = between.iter().filter(overtakes).count();
        (overtaken >= MANY && 2 * overtaken >= between.len())
            .then_some(Cause::LifoChain { overtaken })
    }

    /// Things were taken one at a time, where the other run took several at once.
    fn missed_batch(&self, window: (u64, u64), other: &Self) -> Option<Cause> {
        [(Kind::Steal, false), (Kind::IoPoll, true)]
            .into_iter()
            .find_map(|(kind, of_poller)| {
                let here = takes(self.run, kind, window);
                let there = takes(other.run, kind, (0, u64::MAX));
                let single = here.len() >= MANY && here.iter().all(|&count| count == 1);
                let most = there.iter().max().is_some_and(|&count| count > 1);
                (single && most).then_some(Cause::MissedBatch {
                    takes: here.len(),
                    of_poller,
                })
            })
    }

    /// A worker slept for at least half of the window.
    fn sleeping_worker(&self, window: (u64, u64)) -> Option<Cause> {
        let workers = self.run.threads.iter();
        let workers = workers.filter(|thread| thread.kind == ThreadKind::Worker);
        let longest = workers
            .map(|worker| self.slept(worker.id, window))
            .max()
            .unwrap_or(0);
        (longest > 0 && 2 * longest >= window.1 - window.0)
            .then_some(Cause::SleepingWorker { slept_ns: longest })
    }

    fn slept(&self, worker: u32, window: (u64, u64)) -> u64 {
        let mut since = None;
        let mut slept = 0;
        for event in self.run.events.iter().filter(|it| it.thread == worker) {
            match event.kind {
                Kind::Park => since = Some(event.t_ns),
                Kind::Unpark | Kind::PollBegin => {
                    if let Some(since) = since.take() {
                        slept += overlap((since, event.t_ns), window);
                    }
                }
                _ => {}
            }
        }
        slept + since.map_or(0, |since| overlap((since, self.run.wall_ns), window))
    }

    fn has_own_thread(&self, thread: u32) -> bool {
        self.is_of_kind(thread, ThreadKind::Task)
    }

    /// Whether the thread runs blocking jobs. A scheduler does not decide what waits for it.
    pub(super) fn is_of_a_job(&self, thread: u32) -> bool {
        self.is_of_kind(thread, ThreadKind::Blocking)
    }

    fn is_of_kind(&self, thread: u32, kind: ThreadKind) -> bool {
        self.kinds.get(&thread) == Some(&kind)
    }
}

/// How many were taken each time within the window.
fn takes(run: &Run, kind: Kind, window: (u64, u64)) -> Vec<i64> {
    let events = run.events.iter();
    events
        .filter(|event| event.kind == kind && (window.0..window.1).contains(&event.t_ns))
        .map(|event| match kind {
            Kind::Steal => event.b,
            _ => event.a,
        })
        .filter(|&count| count > 0)
        .collect()
}

fn overlap(one: (u64, u64), other: (u64, u64)) -> u64 {
    one.1.min(other.1).saturating_sub(one.0.max(other.0))
}

/// The kinds of lock that a task can hold, as `b` of lock events: a mutex and a semaphore. Tasks wait for the other
/// kinds, but never hold them.
const HELD_LOCK_KINDS: std::ops::RangeInclusive<i64> = 0..=1;

/// Every acquisition of a lock, in order.
fn lock_turns(run: &Run) -> Vec<LockTurn> {
    let index: HashMap<_, _> = run
        .tasks
        .iter()
        .map(|task| i64::from(task.id))
        .zip(0..)
        .collect();
    let mut waiting: HashMap<(usize, i64), u64> = HashMap::new();
    let mut holding: HashMap<(usize, i64), usize> = HashMap::new();
    let mut turns: Vec<LockTurn> = Vec::new();
    for event in run.events.iter() {
        let Some(&task) = index.get(&event.task) else {
            continue;
        };
        if !HELD_LOCK_KINDS.contains(&event.b) {
            continue;
        }
        let key = (task, event.a);
        match event.kind {
            Kind::LockWait => {
                waiting.entry(key).or_insert(event.t_ns);
            }
            Kind::LockGot => {
                holding.insert(key, turns.len());
                turns.push(LockTurn {
                    task,
                    lock: event.a,
                    waits_ns: waiting.remove(&key),
                    got_ns: event.t_ns,
                    released_ns: None,
                });
            }
            Kind::LockRelease => {
                if let Some(turn) = holding.remove(&key) {
                    turns[turn].released_ns = Some(event.t_ns);
                }
            }
            _ => {}
        }
    }
    turns
}
