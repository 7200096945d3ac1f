//! What is known about a task that has not ended.

use std::fmt;
use std::panic::Location;
use std::time::Instant;

use crate::task::TaskId;
use crate::trace::Primitive;

/// A task that has not ended.
#[derive(Clone, Debug)]
pub struct LiveTask {
    /// Its identity, which is reused after its end.
    pub id: TaskId,
    /// The name that it was given, or else its future's type.
    pub name: String,
    /// Where it was spawned. Known for named tasks, and for those that were spawned during a watch.
    pub spawned_at: Option<&'static Location<'static>>,
    /// The task that spawned it, if that happened during a watch.
    pub parent: Option<TaskId>,
    /// What it is doing.
    pub state: TaskState,
    /// What its last poll began to wait for.
    pub waits: Vec<Wait>,
    /// The locks and permits that it holds.
    pub holds: Vec<Held>,
}

/// What a task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// It is polled.
    Running,
    /// It is in a queue, or about to be.
    Due,
    /// It waits for a wake-up.
    Waiting,
}

/// Something that a task waits for.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    /// What it waits for.
    pub what: Awaited,
    /// When the wait began.
    pub since: Instant,
}

/// What a task can wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// A primitive of `sync`, by its address.
    Lock(Primitive, usize),
    /// The end of a task or of a blocking job.
    Task(TaskId),
    /// A timer.
    Timer,
    /// A socket or a pipe, by its descriptor.
    Socket(i32),
}

/// Something that a task holds.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// A mutex or a semaphore.
    pub primitive: Primitive,
    /// Its address.
    pub address: usize,
    /// When the task got it.
    pub since: Instant,
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lock(primitive, address) => write!(f, "{} {address:x}", primitive.name()),
            Self::Task(id) => write!(f, "task {id}"),
            Self::Timer => f.write_str("timer"),
            Self::Socket(descriptor) => write!(f, "socket {descriptor}"),
        }
    }
}
