//! The jobs that wait for a thread: in order, and each to be found by its task's id.

use std::collections::{BTreeMap, HashMap};

use crate::task::{Task, TaskId};
use crate::time::Hold;

/// A job that waits for a thread.
pub(super) struct Queued {
    pub(super) task: Task,
    /// Simulated time does not pass while a job waits or runs. Dropped when whoever awaits it has been woken.
    pub(super) hold: Hold,
}

/// A queue out of whose middle jobs are taken, too: an abort costs the logarithm of its length, however many jobs wait.
#[derive(Default)]
pub(super) struct Queue {
    /// By the numbers in which they came.
    jobs: BTreeMap<u64, Queued>,
    numbers: HashMap<TaskId, u64>,
    next: u64,
}

impl Queue {
    pub(super) fn push(&mut self, job: Queued) {
        self.numbers.insert(job.task.id(), self.next);
        self.jobs.insert(self.next, job);
        self.next += 1;
    }

    /// The one that has waited longest.
    pub(super) fn pop(&mut self) -> Option<Queued> {
        let (_, job) = self.jobs.pop_first()?;
        self.numbers.remove(&job.task.id());
        Some(job)
    }

    /// The job of that task, if it waits.
    pub(super) fn remove(&mut self, id: TaskId) -> Option<Queued> {
        let number = self.numbers.remove(&id)?;
        self.jobs.remove(&number)
    }

    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// All of them, in order.
    pub(super) fn into_jobs(self) -> impl Iterator<Item = Queued> {
        self.jobs.into_values()
    }
}
