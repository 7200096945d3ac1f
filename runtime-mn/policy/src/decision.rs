//! What a policy answers: plain values. The scheduler carries them out.

/// Where a task can be put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The worker's LIFO slot: next to run. What stood there goes to the [`Back`](Place::Back).
    Slot,
    /// The newest end of the worker's `spawned` deque: it takes from there newest first, thieves take oldest first.
    Newest,
    /// The back of the worker's `woken` queue, from which everybody takes oldest first.
    Back,
    /// The injector, which belongs to no worker.
    Shared,
    /// The worker's ranked queue. The lowest rank comes first; tasks of the same rank come first in, first out.
    ///
    /// The rank is computed once, when the task is queued. Priorities with ageing, earliest deadline first and fair
    /// queueing are all ranks of this kind: Sivaraman et al., "Programmable packet scheduling at line rate", 2016.
    Ranked(u64),
    /// The inbox of the worker with this number, which is woken if it sleeps. An inbox is served in turn, as the
    /// injector is, and others may steal from it. For a number that is no worker's, or a worker that is away in
    /// `block_in_place`: the injector. Replacement workers have no inbox.
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

/// Why a task is due again.
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
    /// The LIFO slot. After many times in a row the task there goes behind the woken ones instead.
    Slot,
    /// The newest task of the `spawned` deque.
    Newest,
    /// The oldest task of the `spawned` deque.
    Oldest,
    /// The oldest task of the `woken` queue.
    Front,
    /// The injector. If workers steal from one another, more of its tasks come along into the `woken` queue. If the
    /// policy [places](crate::Policy::PLACES_INJECTED) injected tasks, there are none, as a rule.
    Injected,
    /// The task of the lowest rank in the worker's own ranked queue.
    Ranked,
    /// The oldest task of the worker's own inbox.
    Inbox,
}

/// Where a worker without work looks for some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// What other threads have injected: tasks, then closures of fork-join.
    Injected,
    /// The queues of the worker with this number: woken tasks first, then spawned ones, then the first ranked one,
    /// then its inbox, then closures. Of the first two kinds as many tasks come along as the knob `steal` says.
    /// Nothing if there is no such worker, if it is the one that searches, or if workers do not
    /// [steal](crate::Policy::steals). Who serves the sockets without help ([`IoSharing`](crate::IoSharing)) gives
    /// no woken tasks.
    Steal(usize),
    /// The LIFO slot of the worker with this number, if that worker is stuck in a poll and the knob `lifo-slot` is
    /// `on`. A worker that goes on polling is about to run that task, and two tasks that wake each other are best left
    /// where they are.
    StealSlot(usize),
    /// The task of the lowest rank in the ranked queue of the worker with this number, under the conditions of
    /// [`Steal`](Attempt::Steal).
    StealRanked(usize),
    /// Timers of other workers that are due. What they wake goes to the searching worker.
    DueTimers,
}
