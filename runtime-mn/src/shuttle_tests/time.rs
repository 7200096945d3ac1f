//! When the mock clock moves.

use runtime_core::primitives::mock_clock;
use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};

/// One of this many steps lets time pass although some thread could continue.
const EARLY: u64 = 128;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Passes {
    /// Threads are never late: time passes only while all wait.
    WhenAllWait,
    /// A deadline may also pass while threads could continue, as on a slow machine.
    AtAnyMoment,
}

/// A scheduler that runs the clock when no other thread can run, and otherwise asks another scheduler.
pub(super) struct WithClock<S> {
    inner: S,
    passes: Passes,
    random: u64,
}

impl<S> WithClock<S> {
    pub(super) fn new(inner: S, passes: Passes, seed: u64) -> Self {
        Self {
            inner,
            passes,
            random: seed | 1,
        }
    }

    fn is_early(&mut self) -> bool {
        if self.passes == Passes::WhenAllWait {
            return false;
        }
        // xorshift64, Marsaglia 2003
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random.is_multiple_of(EARLY)
    }
}

impl<S: Scheduler> Scheduler for WithClock<S> {
    fn new_execution(&mut self) -> Option<Schedule> {
        self.inner.new_execution()
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        let Some((clock, goes_first)) = mock_clock::thread() else {
            return self.inner.next_task(runnable, current, is_yielding);
        };
        let clock = TaskId::from(clock);
        let is_clock = |task: &&&Task| task.id() == clock;
        let others: Vec<&Task> = runnable
            .iter()
            .filter(|task| !is_clock(task))
            .copied()
            .collect();
        let may_run = others.len() < runnable.len();
        if may_run && (goes_first || others.is_empty() || self.is_early()) {
            return Some(clock);
        }
        self.inner.next_task(&others, current, is_yielding)
    }

    fn next_u64(&mut self) -> u64 {
        self.inner.next_u64()
    }
}
