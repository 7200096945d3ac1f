//! parking_lot's interface over a model checker's locks: without poisoning.

#[cfg(lab_loom)]
use loom::sync as model;
#[cfg(not(lab_loom))]
use shuttle::sync as model;
use std::ops::{Deref, DerefMut};

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
    pub(super) mutex: &'a Mutex<T>,
    /// `None` only during a wait.
    pub(super) guard: Option<model::MutexGuard<'a, T>>,
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
