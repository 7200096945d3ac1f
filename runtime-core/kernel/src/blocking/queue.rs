//! The jobs that wait for a thread: in order, and indexed by their tasks' ids.

use std::collections::{BTreeMap, HashMap};

use crate::task::{Task, TaskId};
use crate::time::Hold;

/// A job that waits for a thread.
pub(super) struct Queued {
    pub(super) task: Task,
    /// Simulated time does not pass while a job waits or runs. Dropped after the task that awaits the job was woken.
    pub(super) hold: Hold,
}

/// A queue from which a job can be removed at any place. An abort costs the logarithm of the queue's length.
#[derive(Default)]
pub(super) struct Queue {
    /// By sequence number: the order of arrival.
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

    /// The job that has waited longest.
    pub(super) fn pop(&mut self) -> Option<Queued> {
        let (_, job) = self.jobs.pop_first()?;
        self.numbers.remove(&job.task.id());
        Some(job)
    }

    /// Removes the job of that task, if it is queued.
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
