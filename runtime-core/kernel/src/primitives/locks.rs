//! parking_lot's interface over a model checker's locks: no poison, and a condition variable that borrows the guard.

use std::ops::{Deref, DerefMut};
use std::time::Instant;

#[cfg(lab_loom)]
use loom::{sync as model, thread::yield_now};
#[cfg(not(lab_loom))]
use shuttle::{sync as model, thread::yield_now};

#[derive(Debug)]
pub struct Mutex<T>(model::Mutex<T>);

impl<T> Mutex<T> {
    #[cfg(lab_loom)]
    pub fn new(value: T) -> Self {
        Self(model::Mutex::new(value))
    }
    #[cfg(not(lab_loom))]
    pub const fn new(value: T) -> Self {
        Self(model::Mutex::new(value))
    }
    pub fn lock(&self) -> MutexGuard<'_, T> {
        let guard = self.0.lock().unwrap_or_else(|poison| poison.into_inner());
        MutexGuard {
            mutex: self,
            guard: Some(guard),
        }
    }
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok().map(|guard| MutexGuard {
            mutex: self,
            guard: Some(guard),
        })
    }
    pub fn get_mut(&mut self) -> &mut T {
        self.0
            .get_mut()
            .unwrap_or_else(|poison| poison.into_inner())
    }
    pub fn into_inner(self) -> T {
        self.0
            .into_inner()
            .unwrap_or_else(|poison| poison.into_inner())
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

#[derive(Debug)]
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    /// Always there, but for the time of a wait.
    guard: Option<model::MutexGuard<'a, T>>,
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.guard.as_ref().expect("nobody waits")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.guard.as_mut().expect("nobody waits")
    }
}

#[derive(Debug)]
pub struct Condvar(model::Condvar);

/// What ended a wait that has a deadline.
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
    /// A model has no time: whatever the deadline, it is reached as soon as the others have had an opportunity to run.
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
