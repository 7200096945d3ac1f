//! Which tasks were caught, how often and for how long, and how this is reported.

use std::fmt;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use runtime_core::task::AbortHandle;

use crate::policy::asking::dispose;

/// The minimum time between two warnings. The polls in between are counted in the next warning.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);
/// How many tasks are remembered. Beyond that, all are forgotten.
const MAX_REMEMBERED: usize = 1024;

/// A poll that has lasted too long, while it still lasts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StuckPoll {
    /// The task's name. Without one, the type of its future, which contains the name of the function with its code.
    pub task: String,
    /// Where the task was spawned, if it was spawned with a name.
    pub spawned_at: Option<&'static std::panic::Location<'static>>,
    /// The worker that it delays.
    pub worker: usize,
    /// How long it has lasted so far, at least.
    pub lasted: Duration,
    /// How often this task was caught, including this time.
    pub times: u32,
}

impl fmt::Display for StuckPoll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task `{}`", self.task)?;
        if let Some(location) = self.spawned_at {
            write!(f, " (spawned at {location})")?;
        }
        write!(
            f,
            " has kept worker {} for {} ms without reaching an `await`",
            self.worker,
            self.lasted.as_millis()
        )
    }
}

/// The monitor's thread calls it.
pub(crate) type Callback = Arc<dyn Fn(&StuckPoll) + Send + Sync>;

/// What the monitor saw.
pub(super) struct Catch {
    pub(super) worker: usize,
    pub(super) task: usize,
    pub(super) progress: u64,
    pub(super) lasted: Duration,
}

pub(crate) struct Report {
    warns: bool,
    callback: Option<Callback>,
    pub(crate) stuck_polls: AtomicU64,
    pub(crate) stuck_ns: AtomicU64,
}

/// What the monitor's thread remembers.
#[derive(Default)]
pub(super) struct Memory {
    /// The tasks that were caught, and how often. A handle keeps its task's memory from being used for another task,
    /// which would be mistaken for this one.
    catches: Vec<(AbortHandle, u32)>,
    warned_at: Option<Instant>,
    /// Catches since the last warning that were not reported.
    unreported: u64,
}

impl Report {
    pub(super) fn new(warns: bool, callback: Option<Callback>) -> Self {
        Self {
            warns,
            callback,
            stuck_polls: AtomicU64::new(0),
            stuck_ns: AtomicU64::new(0),
        }
    }

    /// Call this when a caught poll has ended.
    pub(super) fn returned(&self, lasted: Duration) {
        self.stuck_ns.fetch_add(lasted.as_nanos() as u64, Relaxed);
    }

    /// Call this when a poll was caught.
    pub(super) fn count(&self) {
        self.stuck_polls.fetch_add(1, Relaxed);
    }

    /// Names and reports the task, which was caught `times` times by now.
    pub(super) fn report_task(
        &self,
        memory: &mut Memory,
        task: &AbortHandle,
        catch: &Catch,
        times: u32,
        now: Instant,
    ) {
        let event = StuckPoll {
            task: task.name().unwrap_or_default().to_owned(),
            spawned_at: task.spawned_at(),
            worker: catch.worker,
            lasted: catch.lasted,
            times,
        };
        let unreported = self.warns.then(|| memory.may_warn(now)).flatten();
        if let Some(unreported) = unreported {
            let more = match unreported {
                0 => String::new(),
                unreported => format!("; {unreported} more such polls since the last warning"),
            };
            // Standard error may be closed.
            let _ = writeln!(
                std::io::stderr(),
                "warning: {event}{more}; see `block_in_place`, `spawn_blocking`, `yield_now`"
            );
        }
        if let Some(callback) = &self.callback {
            // A panic of the callback must not keep the monitor from the other workers.
            let called = catch_unwind(AssertUnwindSafe(|| callback(&event)));
            called.unwrap_or_else(dispose);
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        // Dropping the callback drops what it has captured. This may be a worker's thread.
        let callback = self.callback.take();
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(callback)));
        dropped.unwrap_or_else(dispose);
    }
}

impl Memory {
    /// Call this when the task was caught once more. Returns how often it was caught, including this time.
    pub(super) fn count(&mut self, task: &AbortHandle) -> u32 {
        self.forget_ended();
        if self.catches.len() >= MAX_REMEMBERED {
            self.catches.clear();
        }
        let known = self.catches.iter().position(|it| it.0.id() == task.id());
        let at = known.unwrap_or_else(|| {
            self.catches.push((task.clone(), 0));
            self.catches.len() - 1
        });
        let times = &mut self.catches[at].1;
        *times += 1;
        *times
    }

    /// Frees the memory of tasks that have ended.
    pub(super) fn forget_ended(&mut self) {
        self.catches.retain(|it| !it.0.is_finished());
    }

    /// Whether it is time for a warning; if so, how many catches were not reported since the last one.
    fn may_warn(&mut self, now: Instant) -> Option<u64> {
        let recently = self
            .warned_at
            .is_some_and(|at| now.duration_since(at) < WARNING_INTERVAL);
        if recently {
            self.unreported += 1;
            return None;
        }
        self.warned_at = Some(now);
        Some(std::mem::take(&mut self.unreported))
    }
}

#[cfg(all(test, not(lab_loom)))]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_rate_limited_and_count_the_suppressed_ones() {
        let mut memory = Memory::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(memory.may_warn(at(0)), Some(0));
        assert_eq!(memory.may_warn(at(1)), None);
        assert_eq!(memory.may_warn(at(9)), None);
        assert_eq!(memory.may_warn(at(10)), Some(2));
        assert_eq!(memory.may_warn(at(30)), Some(0));
    }
}
