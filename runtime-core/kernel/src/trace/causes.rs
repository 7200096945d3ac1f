//! What wakes the tasks that are woken here and now.

use std::cell::Cell;
use std::thread_local;

use super::recorded::ThreadKind;
use super::recorder::{is_on, role};
use super::table::Cause;
use crate::task::TaskId;

thread_local! {
    static CAUSE: Cell<Option<Cause>> = const { Cell::new(None) };
    /// The task that wakes, where it is not the one that the thread polls.
    static WAKING: Cell<Option<TaskId>> = const { Cell::new(None) };
}

/// While it lives, what is woken on this thread is woken by that cause.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct Causing(Option<Option<Cause>>);

/// Says what wakes the tasks that the calling thread wakes until the guard is dropped. Does nothing while nothing
/// records.
#[inline(always)]
pub fn caused_by(cause: Cause) -> Causing {
    Causing(is_on().then(|| begin(cause)))
}

#[cold]
fn begin(cause: Cause) -> Option<Cause> {
    CAUSE.replace(Some(cause))
}

impl Drop for Causing {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(before) = self.0 {
            CAUSE.set(before);
        }
    }
}

/// While it lives, what is woken on this thread is woken by that task, which has ended.
#[must_use = "it ends when it is dropped"]
pub(crate) struct Waking(Option<Option<TaskId>>);

#[inline(always)]
pub(crate) fn waking(task: TaskId) -> Waking {
    Waking(is_on().then(|| WAKING.replace(Some(task))))
}

impl Drop for Waking {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(before) = self.0 {
            WAKING.set(before);
        }
    }
}

/// The task that wakes what is woken here.
pub(crate) fn waking_task() -> Option<TaskId> {
    WAKING.get().or_else(TaskId::current)
}

/// What wakes a task that is woken here.
pub(crate) fn cause_here() -> Cause {
    let stated = CAUSE.get();
    stated.unwrap_or_else(|| match waking_task() {
        _ if role() == ThreadKind::Blocking => Cause::BlockingJob,
        Some(_) => Cause::Task,
        None => Cause::OtherThread,
    })
}
