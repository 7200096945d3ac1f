//! The task that causes the recorded events.

use std::cell::Cell;
use std::thread_local;

use crate::task::TaskId;

thread_local! {
    /// Set if it is not the task of ours that the thread polls.
    static ACTING: Cell<Option<TaskId>> = const { Cell::new(None) };
}

/// While it exists, what happens on this thread is attributed to that task, which has ended or belongs to another
/// runtime.
#[must_use = "it ends when it is dropped"]
pub(crate) struct Acting(Option<TaskId>);

pub(crate) fn acting(task: TaskId) -> Acting {
    Acting(ACTING.replace(Some(task)))
}

impl Drop for Acting {
    fn drop(&mut self) {
        ACTING.set(self.0);
    }
}

/// The task that what happens here is attributed to.
pub(crate) fn acting_task() -> Option<TaskId> {
    ACTING.get().or_else(TaskId::current)
}
