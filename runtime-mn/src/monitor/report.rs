//! Who was caught, how often, for how long; and who is told.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use runtime_core::primitives::Mutex;
use runtime_core::task::TaskId;

use crate::shared::Shared;

/// A task that is caught so often is marked.
const CATCHES: u32 = 2;
/// A warning at most so often; those in between are counted in the next one.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);
/// How many tasks are remembered; past that, all are forgotten.
const REMEMBERED: usize = 1024;

/// A poll that has lasted too long, while it still lasts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StuckPoll {
    /// The task's name, else the type of its future, which names the function that its code stands in.
    pub task: String,
    /// Where the task was spawned, if it was spawned with a name.
    pub spawned_at: Option<&'static std::panic::Location<'static>>,
    /// Which worker it holds up.
    pub worker: usize,
    /// For how long at least, so far.
    pub lasted: Duration,
    /// How often this task was caught, this time included.
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

/// Called by the monitor's thread.
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
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    catches: HashMap<TaskId, u32>,
    warned_at: Option<Instant>,
    /// Catches since the last warning that were not told of.
    untold: u64,
}

impl Report {
    pub(super) fn new(warns: bool, callback: Option<Callback>) -> Self {
        Self {
            warns,
            callback,
            stuck_polls: AtomicU64::new(0),
            stuck_ns: AtomicU64::new(0),
            memory: Mutex::default(),
        }
    }

    /// A poll that was caught has ended.
    pub(super) fn returned(&self, lasted: Duration) {
        self.stuck_ns.fetch_add(lasted.as_nanos() as u64, Relaxed);
    }

    /// A poll was caught: it is counted, the task named, remembered, marked, and told of.
    pub(super) fn caught(&self, shared: &Shared, catch: &Catch, now: Instant) {
        self.stuck_polls.fetch_add(1, Relaxed);
        let Some(task) = shared.arena.find_live(catch.task) else {
            return;
        };
        let remote = &shared.remotes[catch.worker];
        if remote.current() != catch.task || remote.progress() != catch.progress {
            // It has returned just now; the block may be another task's already.
            return;
        }
        let mut memory = self.memory.lock();
        if memory.catches.len() >= REMEMBERED {
            memory.catches.clear();
        }
        let times = memory.catches.entry(task.id()).or_default();
        *times += 1;
        let times = *times;
        if times >= CATCHES && shared.batch_lane.is_open() {
            memory.catches.remove(&task.id());
            task.set_marked(true);
        }
        let event = StuckPoll {
            task: task.name().unwrap_or_default().to_owned(),
            spawned_at: task.spawned_at(),
            worker: catch.worker,
            lasted: catch.lasted,
            times,
        };
        let untold = self.warns.then(|| memory.may_warn(now)).flatten();
        drop(memory);
        if let Some(untold) = untold {
            let more = match untold {
                0 => String::new(),
                untold => format!("; {untold} more such polls since the last warning"),
            };
            eprintln!(
                "warning: {event}{more}; see `block_in_place`, `spawn_blocking`, `yield_now`"
            );
        }
        if let Some(callback) = &self.callback {
            callback(&event);
        }
    }
}

impl Memory {
    /// Whether it is time for a warning; if so, how many catches were not told of since the last one.
    fn may_warn(&mut self, now: Instant) -> Option<u64> {
        let recently = self
            .warned_at
            .is_some_and(|at| now.duration_since(at) < WARNING_INTERVAL);
        if recently {
            self.untold += 1;
            return None;
        }
        self.warned_at = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(all(test, not(lab_loom)))]
mod tests {
    use super::*;

    #[test]
    fn warnings_come_at_a_limited_rate_and_count_what_they_left_out() {
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
