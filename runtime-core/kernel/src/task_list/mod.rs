//! The live tasks of a runtime: what each waits for, since when, and which task holds it.
//!
//! A list by itself costs nothing while tasks run: it walks the scheduler's memory, which says which tasks are alive
//! and whether they run. What tasks wait for and hold is known only from the time of a [watch](watch()): during a
//! watch, the hooks of the [recorder](crate::trace) note each wait where it begins. Without a watch, such a hook is
//! only the recorder's branch.
//!
//! A wait is not known if it began before the watch, or if it is for something outside this project (another crate's
//! channel). The same holds for a wait that a combinator did not poll again in the task's last poll.

mod deadlock;
mod live_task;
mod watch;

use crate::task::TaskId;
use crate::trace;

pub use live_task::{Awaited, Held, LiveTask, TaskState, Wait};
pub use watch::{Watch, watch};
pub(crate) use watch::{awaits, begins, ends, sees, spawned};

/// The live tasks of one runtime.
#[derive(Clone, Debug, Default)]
pub struct TaskList {
    /// The tasks, in no particular order.
    pub tasks: Vec<LiveTask>,
    /// A watch is active: waits and holders are known since it began.
    pub is_watched: bool,
}

impl TaskList {
    /// The list of these tasks, with what the watch knows about them. For schedulers.
    pub fn of(mut tasks: Vec<LiveTask>) -> Self {
        watch::complete(&mut tasks);
        Self {
            tasks,
            is_watched: trace::is_watched(),
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

    /// Circles of tasks: each waits for what the next one holds, or for its end, and the last waits for the first.
    ///
    /// A task that also waits for something else, such as a time limit, is in no circle, because it continues by
    /// itself. Nor is one that waits for an event, a queue or a condition, which any code may serve.
    pub fn deadlocks(&self) -> Vec<Vec<TaskId>> {
        deadlock::circles(&self.tasks)
    }
}
