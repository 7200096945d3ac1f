//! Code that blocks, between two events.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::recorder::{is_on, note};
use super::table::Fact;
use crate::task::TaskId;

/// The number of the next job that is recorded.
static JOBS: AtomicU64 = AtomicU64::new(0);

/// Says that the job has ended, also by a panic.
struct Ends(Option<TaskId>, u64);

impl Drop for Ends {
    fn drop(&mut self) {
        note(Fact::BlockingEnds(self.0, self.1));
    }
}

/// Calls `job`, which may block. While something records, it gets a number, and its begin and end are recorded. `task`
/// is the one in whose place it runs.
#[inline]
pub fn blocking<R>(task: Option<TaskId>, job: impl FnOnce() -> R) -> R {
    let _ends = is_on().then(|| {
        let number = JOBS.fetch_add(1, Relaxed);
        note(Fact::BlockingBegins(task, number));
        Ends(task, number)
    });
    job()
}
