//! The decisions of a policy: plain values, which the scheduler carries out.

/// Where a task can be put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The worker's LIFO slot: it runs next. A task that was there goes to the [`Back`](Place::Back).
    Slot,
    /// The newest end of the worker's LIFO queue: the worker takes the newest task, thieves take the oldest.
    Newest,
    /// The back of the worker's FIFO queue, from which all workers take the oldest task.
    Back,
    /// The injector, which belongs to no worker.
    Shared,
    /// The worker's ranked queue. The lowest rank comes first; tasks of the same rank come first in, first out.
    ///
    /// The rank is computed once, when the task is queued. Priorities with ageing, earliest deadline first and fair
    /// queueing are all ranks of this kind: Sivaraman et al., "Programmable packet scheduling at line rate", 2016.
    Ranked(u64),
    /// The inbox of the worker with this number, which is woken if it sleeps. An inbox is served in turn, as the
    /// injector is, and others may steal from it. If there is no such worker, or if it is away in `block_in_place`,
    /// the task goes to the injector. Replacement workers have no inbox.
    Worker(usize),
}

impl Place {
    /// The places that need no number.
    pub const ALL: [Self; 4] = [Self::Slot, Self::Newest, Self::Back, Self::Shared];

    /// One place of each kind, in the order of [`kind`](Place::kind).
    pub const KINDS: [Self; 6] = [
        Self::Slot,
        Self::Newest,
        Self::Back,
        Self::Shared,
        Self::Ranked(0),
        Self::Worker(0),
    ];

    /// Its index in [`KINDS`](Place::KINDS), whatever number it carries.
    #[inline]
    pub const fn kind(self) -> usize {
        match self {
            Self::Slot => 0,
            Self::Newest => 1,
            Self::Back => 2,
            Self::Shared => 3,
            Self::Ranked(_) => 4,
            Self::Worker(_) => 5,
        }
    }
}

/// Why a task was woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WokenBy {
    /// Another task of the same worker called its waker.
    Task,
    /// A socket is ready, or a timer is due.
    Driver,
    /// It yielded, or called its own waker.
    Itself,
}

/// Where a worker takes its next task from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The LIFO slot. After many times in a row, the task there goes behind the woken tasks instead.
    Slot,
    /// The newest task of the LIFO queue.
    Newest,
    /// The oldest task of the LIFO queue.
    Oldest,
    /// The oldest task of the FIFO queue.
    Front,
    /// The injector. If workers steal from one another, more of its tasks move to the FIFO queue. If the policy
    /// [places](crate::Policy::PLACES_INJECTED) injected tasks, the injector is usually empty.
    Injected,
    /// The task of the lowest rank in the worker's own ranked queue.
    Ranked,
    /// The oldest task of the worker's own inbox.
    Inbox,
}

/// Where a worker without work searches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// What other threads have injected: tasks, then closures of fork-join.
    Injected,
    /// The queues of the worker with this number: FIFO queue, LIFO queue, the first ranked task, its inbox, then
    /// closures. The knob `steal` determines how many tasks are taken from the first two. Nothing is taken if there is
    /// no such worker, if it is the searching worker itself, or if workers do not [steal](crate::Policy::steals). A
    /// worker that serves the sockets alone ([`IoSharing`](crate::IoSharing)) gives away no woken tasks.
    Steal(usize),
    /// The LIFO slot of the worker with this number, if that worker is stuck in a poll and the knob `lifo-slot` is
    /// `on`. A worker that continues polling is about to run that task, and two tasks that wake each other are best
    /// left where they are.
    StealSlot(usize),
    /// The task of the lowest rank in the ranked queue of the worker with this number, under the conditions of
    /// [`Steal`](Attempt::Steal).
    StealRanked(usize),
    /// Timers of other workers that are due. What they wake goes to the searching worker.
    DueTimers,
}
