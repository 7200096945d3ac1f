//! The facts that the scheduler and the parts exchange, as plain values.

use std::time::Instant;

use runtime_core::reactor::Polled;
use runtime_core::task::{AbortHandle, Task, TaskId};

use crate::policy::Place;

/// A part's state: one `Self` for the runtime, and these for each worker.
pub(crate) trait State: Sized + Send + Sync + 'static {
    /// The state that only the worker's own thread touches.
    type Local;
    /// The state that all threads see.
    type Remote: Default + Send + Sync;
}

/// A fact that a worker reports to the parts. Its kind is a constant at each call, so a part that ignores it costs
/// nothing.
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
    /// It took one of its own tasks to run it.
    Took,
    /// Its queues are empty.
    RanOut,
    /// A sleeper was woken for a task in the worker's queues.
    Woke,
    /// It checks that worker's queues.
    StealTried(usize),
    /// That many tasks were stolen. 0 means work that is not a task.
    Stole(usize),
    ReactorPolled(Polled, Instant),
    Sleeps(Instant),
    /// It wakes up, or begins. A sequentially consistent fence comes before its next steps.
    Wakes(Instant),
    /// Work that is not a task begins outside any poll.
    OtherWorkBegins,
    OtherWorkEnds,
    /// A piece of such work was done, inside a poll or outside.
    OtherWorkDone,
    /// It has taken over from that worker, which is stuck.
    TookOver(usize),
    /// It has given away all its tasks.
    Leaves,
}

/// An event on any thread.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SharedEvent<'a> {
    SpawnedOutside,
    /// A non-worker thread is about to put the task into the injector.
    Injected(TaskId),
    /// A non-worker thread has polled a task.
    PolledOutside,
    FinishedOutside,
    Cancelled,
    /// The task has held up its worker in one poll. The number says how often it has done so up to now.
    Caught(&'a AbortHandle, u32),
    /// The worker is being woken.
    Unparks(usize),
    /// Other workers must now be able to take everything that the worker has reserved for itself.
    HeldUp(usize),
    Closed,
    /// All tasks that a part has queued must be [cancelled](Shared::cancel).
    Sweep,
}

/// The result of queueing a task that the policy has placed.
pub(crate) enum Queued {
    /// The task is in a queue from which others may take it.
    Here,
    /// The task is elsewhere, and the part has woken the right worker.
    Elsewhere,
    /// The part has no queue for it: it must go where all workers look.
    Nowhere(Task),
}

/// Which of the tasks that a part has queued for a worker?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pick {
    /// The one with the lowest rank.
    First,
    /// Of the tasks that have a rank, the one that was queued first.
    Oldest,
    /// The oldest task that other workers have sent.
    Sent,
    /// Tasks that other threads have sent, and that only that worker may take.
    Kept,
    Any,
}

/// Where a worker searches for work that is not a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Own,
    Worker(usize),
    Outside,
}

/// The current role of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duty {
    Works,
    /// Its task has borrowed its thread, and the worker comes back later.
    Away,
    /// It has nothing to do until it is needed.
    Waits,
}

/// Why a worker's thread ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    WithTheRuntime,
    /// The worker was not needed for a while. Another thread may take it over later.
    Idle,
}
