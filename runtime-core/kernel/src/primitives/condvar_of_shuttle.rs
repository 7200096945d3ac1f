//! The interface of parking_lot's condition variable, which borrows the guard, over the [mock
//! clock](super::mock_clock).

use std::sync::{Arc, Mutex, MutexGuard as StdGuard, PoisonError};
use std::time::Instant;

use shuttle::rand::{Rng, thread_rng};

use super::locks::MutexGuard;
use super::mock_clock::Gate;
use super::scheduling_point;

#[derive(Debug, Default)]
pub struct Condvar {
    /// One gate per waiting thread. Never locked across a scheduling point.
    waiters: Mutex<Vec<Arc<Gate>>>,
}

/// How a wait with a deadline ended.
#[derive(Clone, Copy, Debug)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    pub fn timed_out(self) -> bool {
        self.0
    }
}

impl Condvar {
    pub fn new() -> Self {
        Self::default()
    }

    /// Wakes a random one of the waiting threads.
    pub fn notify_one(&self) {
        scheduling_point();
        let waiting = self.waiters().len();
        // The random choice is a scheduling point, so there may be fewer waiters afterwards.
        let chosen = if waiting > 1 {
            thread_rng().gen_range(0..waiting)
        } else {
            0
        };
        let gate = {
            let mut waiters = self.waiters();
            let last = waiters.len().checked_sub(1);
            last.map(|last| waiters.remove(chosen.min(last)))
        };
        gate.inspect(|gate| gate.open());
    }

    pub fn notify_all(&self) {
        scheduling_point();
        let waiters = std::mem::take(&mut *self.waiters());
        waiters.iter().for_each(|gate| gate.open());
    }

    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        self.wait_for(guard, None);
    }

    pub fn wait_until<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        deadline: Instant,
    ) -> WaitTimeoutResult {
        WaitTimeoutResult(!self.wait_for(guard, Some(deadline)))
    }

    /// True if it was notified before the deadline.
    fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, deadline: Option<Instant>) -> bool {
        let gate = Arc::<Gate>::default();
        self.waiters().push(Arc::clone(&gate));
        guard.guard = None;
        gate.wait(deadline);
        let was_notified = {
            let mut waiters = self.waiters();
            let place = waiters.iter().position(|other| Arc::ptr_eq(other, &gate));
            place.map(|place| waiters.remove(place)).is_none()
        };
        *guard = guard.mutex.lock();
        was_notified
    }

    fn waiters(&self) -> StdGuard<'_, Vec<Arc<Gate>>> {
        let waiters = self.waiters.lock();
        waiters.unwrap_or_else(PoisonError::into_inner)
    }
}
