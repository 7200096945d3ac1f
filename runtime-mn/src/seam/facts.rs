//! What the scheduler and the parts tell each other, in plain values.

use std::time::Instant;

use runtime_core::reactor::Polled;
use runtime_core::task::{AbortHandle, Task, TaskId};

use crate::policy::Place;

/// What a part remembers: `Self` once for the runtime, and this for each worker.
pub(crate) trait State: Sized + Send + Sync + 'static {
    /// What only the worker's own thread touches.
    type Local;
    /// What all threads see.
    type Remote: Default + Send + Sync;
}

/// What a worker tells the parts. It is constant at each call, so that a part which ignores it costs nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    Spawned,
    Queued(TaskId, Place),
    PollBegins(TaskId),
    PollEnds,
    Finished,
    /// The next task came from the LIFO slot.
    SlotHit,
    /// The worker is between two tasks.
    BetweenTasks,
    /// A task of its own was taken out to run.
    Took,
    /// There is nothing left in its queues.
    RanOut,
    /// A sleeper was woken for a task in the worker's queues.
    Woke,
    /// It looks at that worker's queues.
    StealTried(usize),
    /// So many tasks came along. 0: it was work that is no task.
    Stole(usize),
    ReactorPolled(Polled, Instant),
    Sleeps(Instant),
    /// It wakes up, or begins. A sequentially consistent fence comes before what it does next.
    Wakes(Instant),
    /// Work that is no task begins outside of any poll.
    OtherWorkBegins,
    OtherWorkEnds,
    /// A piece of such work was done, inside of a poll or outside.
    OtherWorkDone,
    /// It has taken over from that worker, which is stuck.
    TookOver(usize),
    /// It has given away all that it had.
    Leaves,
    /// It takes over what that worker, which is stuck, has queued.
    TakesOver(usize),
}

/// What happens on any thread.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SharedEvent<'a> {
    SpawnedOutside,
    /// A thread that is no worker is about to put the task into the injector.
    Injected(TaskId),
    /// A thread that is no worker has polled a task.
    PolledOutside,
    FinishedOutside,
    Cancelled,
    /// The task has held up its worker in one poll, for so many times by now.
    Caught(&'a AbortHandle, u32),
    /// The worker is being woken.
    Unparks(usize),
    /// Whatever the worker has reserved for itself, others must be able to take now.
    HeldUp(usize),
    Closed,
    /// Whatever tasks a part has queued are to be [cancelled](Shared::cancel).
    Sweep,
}

/// What a part has done with a task that a policy has sorted.
pub(crate) enum Queued {
    /// It lies where others may take it.
    Here,
    /// It lies elsewhere, and whoever must be told has been.
    Elsewhere,
    /// The part has no queue for it: it goes where all look.
    Nowhere(Task),
}

/// Which of the tasks that a part has queued for a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pick {
    /// The one of the lowest rank.
    First,
    /// Of those that have a rank, the one that was queued first.
    Oldest,
    /// The oldest of those that other workers have sent.
    Sent,
    Any,
}

/// Where a worker looks for work that is no task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Own,
    Worker(usize),
    Outside,
}

/// What a worker is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duty {
    Works,
    /// Its task has borrowed its thread: it comes back.
    Away,
    /// It has nothing to do until it is needed.
    Waits,
}

/// Why a worker's thread ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    WithTheRuntime,
    /// It was not needed for a while. Another thread may be its next.
    Idle,
}
