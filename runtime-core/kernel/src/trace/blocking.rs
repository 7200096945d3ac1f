//! Records code that blocks, from its start to its end.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::hooks::note;
use super::switch::is_on;
use super::table::Fact;
use crate::task::TaskId;

/// The number of the next job that is recorded.
static JOBS: AtomicU64 = AtomicU64::new(0);

/// Records that the job has ended, even if it panics.
struct Ends(Option<TaskId>, u64);

impl Drop for Ends {
    fn drop(&mut self) {
        note(Fact::BlockingEnds(self.0, self.1));
    }
}

/// Calls `job`, which may block. During a recording, the job gets a number, and its start and end are recorded. `task`
/// is the task in whose place it runs.
#[inline]
pub fn blocking<R>(task: Option<TaskId>, job: impl FnOnce() -> R) -> R {
    let _ends = is_on().then(|| {
        let number = JOBS.fetch_add(1, Relaxed);
        note(Fact::BlockingBegins(task, number));
        Ends(task, number)
    });
    job()
}
