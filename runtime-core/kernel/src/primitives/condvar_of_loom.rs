//! The interface of parking_lot's condition variable, which borrows the guard, over loom's.

use std::time::Instant;

use loom::{sync as model, thread::yield_now};

use super::locks::MutexGuard;

#[derive(Debug)]
pub struct Condvar(model::Condvar);

/// How a wait with a deadline ended.
#[derive(Clone, Copy, Debug)]
pub struct WaitTimeoutResult(());

impl WaitTimeoutResult {
    pub fn timed_out(self) -> bool {
        true
    }
}

impl Condvar {
    pub fn new() -> Self {
        Self(model::Condvar::new())
    }
    pub fn notify_one(&self) {
        self.0.notify_one();
    }
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let held = guard.guard.take().expect("nobody waits");
        let waited = self.0.wait(held);
        guard.guard = Some(waited.unwrap_or_else(|poison| poison.into_inner()));
    }
    /// loom has no time: any deadline is reached as soon as the other threads have had a chance to run.
    pub fn wait_until<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        _deadline: Instant,
    ) -> WaitTimeoutResult {
        guard.guard = None;
        yield_now();
        *guard = guard.mutex.lock();
        WaitTimeoutResult(())
    }
}

impl Default for Condvar {
    fn default() -> Self {
        Self::new()
    }
}
