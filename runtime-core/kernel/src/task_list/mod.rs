//! The live tasks of a runtime: what each waits for, since when, and who holds what.
//!
//! A list by itself costs nothing while tasks run: the schedulers' memory is walked, and says which tasks are alive and
//! whether they run. What they wait for and hold is known of what happens while somebody [watches](watch): each wait
//! is then noted where it begins, by the hooks of the [recorder](crate::trace). While nobody watches, such a hook is
//! the recorder's branch.
//!
//! A wait that began before the watch, or for something that is not of this project (another crate's channel), is
//! not known. Nor is a wait that a combinator did not poll again in the task's last poll.

mod deadlock;
mod watch;

use std::fmt;
use std::panic::Location;
use std::time::Instant;

use crate::task::TaskId;
use crate::trace::Primitive;

pub use watch::{Watch, watch};
pub(crate) use watch::{awaits, begins, ends, is_watched, sees, spawned};

/// The live tasks of one runtime.
#[derive(Clone, Debug, Default)]
pub struct TaskList {
    /// In no particular order.
    pub tasks: Vec<LiveTask>,
    /// Somebody watches: waits and holders are known since then.
    pub is_watched: bool,
}

/// A task that has not ended.
#[derive(Clone, Debug)]
pub struct LiveTask {
    /// Its identity, which is used again after its end.
    pub id: TaskId,
    /// The name that it was given, else its future's type.
    pub name: String,
    /// Where it was spawned: known of named tasks, and of those that were spawned under a watch.
    pub spawned_at: Option<&'static Location<'static>>,
    /// The task that spawned it, if that happened under a watch.
    pub parent: Option<TaskId>,
    /// What it is doing.
    pub state: TaskState,
    /// What its last poll began to wait for.
    pub waits: Vec<Wait>,
    /// What it has of locks and semaphores.
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
    /// What.
    pub what: Awaited,
    /// Since when.
    pub since: Instant,
}

/// What can be waited for.
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
    /// Where it is.
    pub address: usize,
    /// Since when.
    pub since: Instant,
}

impl TaskList {
    /// The list of these tasks, with what the watch knows of them. For schedulers.
    pub fn of(mut tasks: Vec<LiveTask>) -> Self {
        watch::complete(&mut tasks);
        Self {
            tasks,
            is_watched: is_watched(),
        }
    }

    /// The task with that identity.
    pub fn get(&self, id: TaskId) -> Option<&LiveTask> {
        self.tasks.iter().find(|task| task.id == id)
    }

    /// The tasks that hold the primitive at that address.
    pub fn holders(&self, address: usize) -> impl Iterator<Item = &LiveTask> {
        let holds = move |task: &&LiveTask| task.holds.iter().any(|it| it.address == address);
        self.tasks.iter().filter(holds)
    }

    /// Circles of tasks of which each waits for what the next one holds, or for its end; the last waits for the first.
    ///
    /// A task that also waits for something else, such as a time limit, is in none: it goes on by itself. Nor is one
    /// that waits for an event, a queue or a condition, which anybody may serve.
    pub fn deadlocks(&self) -> Vec<Vec<TaskId>> {
        deadlock::circles(self)
    }
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
