//! Keeps a waker until its task must be woken.
//!
//! A waker is user code: its clone, wake and drop may do anything, such as use the object that the task waits for, and
//! may panic. Therefore:
//! - a waker is cloned before a lock is taken, and dropped after it was released ([`PollWaker`]);
//! - its wake and its drop are contained ([`SavedWaker`]), and so are runtimes that it enters and does not leave;
//! - its wake is called on the thread's own stack, and not on that of a green task, which it could suspend.
//!
//! Its clone is not contained: it is called inside the poll of the task that it wakes, which can't continue without
//! it.
#![allow(unsafe_code)]

use std::mem::{self, ManuallyDrop};
use std::task::Waker;

use crate::contain::contain;
use crate::context::stay_in;
use crate::task;
use crate::thread_stack::on_thread_stack;

/// A waker whose wake and drop are contained.
#[derive(Debug)]
pub struct SavedWaker(ManuallyDrop<Waker>);

impl SavedWaker {
    /// A clone of `waker`. It runs user code: call it while no lock is held.
    #[inline]
    pub fn of(waker: &Waker) -> Self {
        Self(ManuallyDrop::new(waker.clone()))
    }

    /// Whether both wake the same task. Compares two pointers, and runs no user code.
    #[inline]
    pub fn will_wake(&self, waker: &Waker) -> bool {
        self.0.will_wake(waker)
    }

    /// The waker's data pointer: a hint to the processor's caches.
    #[inline]
    pub fn data(&self) -> *const () {
        self.0.data()
    }

    /// Wakes the task. Call it while no lock is held.
    #[inline]
    pub fn wake(self) {
        let waker = self.into_waker();
        contain(|| wake(waker));
    }

    /// Wakes the task, and keeps the waker for another wake. Call it while no lock is held.
    pub fn wake_by_ref(&self) {
        contain(|| {
            if task::is_a_tasks(&self.0) {
                stay_in(|| self.0.wake_by_ref());
            } else {
                apart(|| self.0.wake_by_ref());
            }
        });
    }

    /// The waker, for a caller that contains its panics itself.
    #[inline]
    pub fn into_waker(self) -> Waker {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: taken once, because `this` is not dropped.
        unsafe { ManuallyDrop::take(&mut this.0) }
    }
}

impl Drop for SavedWaker {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: taken once, because this is the end of `self`.
        drop_contained(unsafe { ManuallyDrop::take(&mut self.0) });
    }
}

/// Wakes the task. The caller contains the waker's panic.
#[inline]
pub(crate) fn wake(waker: Waker) {
    if task::is_a_tasks(&waker) {
        stay_in(|| waker.wake());
    } else {
        apart(|| waker.wake());
    }
}

/// Calls a waker that is user code. The caller may be on a green task's stack, and the waker could suspend it: the rest
/// of a batch would not be woken meanwhile, and `stay_in` would compare the contexts of two different polls. On the
/// thread's own stack such a wait is refused.
fn apart(wake: impl FnOnce()) {
    stay_in(|| on_thread_stack(wake));
}

/// Out of line: rarely needed, and inlined at each place where a waiter might be dropped.
#[inline(never)]
fn drop_contained(waker: Waker) {
    contain(|| drop(waker));
}

/// The waker of the current poll, on its way to a place under a lock.
///
/// Declare it before the lock's guard, so that it is dropped after the guard: dropping it drops an unused clone, and
/// the waker that was replaced.
pub struct PollWaker<'a> {
    waker: &'a Waker,
    clone: Option<SavedWaker>,
    replaced: Option<SavedWaker>,
}

impl<'a> PollWaker<'a> {
    #[inline]
    /// For the poll whose waker this is. Clones nothing yet.
    pub fn new(waker: &'a Waker) -> Self {
        Self {
            waker,
            clone: None,
            replaced: None,
        }
    }

    /// Clones the waker, unless it was cloned before. This runs user code: call it while no lock is held.
    #[inline]
    pub fn prepare(&mut self) {
        if self.clone.is_none() {
            self.clone = Some(SavedWaker::of(self.waker));
        }
    }

    /// Under a lock: like [`prepare`](PollWaker::prepare) if the waker is a task's, whose clone only counts and runs
    /// no user code. False if there is no clone: release the lock, call [`prepare`](PollWaker::prepare), and check
    /// again.
    ///
    /// For callers that learn only under the lock that they must wait: it saves taking the lock twice.
    #[inline]
    pub fn prepare_locked(&mut self) -> bool {
        if self.clone.is_none() && task::is_a_tasks(self.waker) {
            self.prepare();
        }
        self.clone.is_some()
    }

    /// Whether `place` already wakes the task.
    #[inline]
    pub fn is_kept_in(&self, place: &SavedWaker) -> bool {
        place.will_wake(self.waker)
    }

    /// Under the lock: makes `place` wake the task. Returns false and changes nothing if that needs a clone and there
    /// is none: release the lock, call [`prepare`](PollWaker::prepare), and check again.
    #[inline]
    pub fn store_in(&mut self, place: &mut Option<SavedWaker>) -> bool {
        if let Some(own) = place
            && own.will_wake(self.waker)
        {
            return true;
        }
        if !self.prepare_locked() {
            return false;
        }
        self.replaced = place.replace(self.take());
        true
    }

    /// Under the lock: like [`store_in`](PollWaker::store_in), for a place that always has a waker.
    #[inline]
    pub fn replace(&mut self, place: &mut SavedWaker) -> bool {
        if place.will_wake(self.waker) {
            return true;
        }
        if !self.prepare_locked() {
            return false;
        }
        self.replaced = Some(mem::replace(place, self.take()));
        true
    }

    /// The clone, for a place that has no waker.
    ///
    /// # Panics
    /// If it was not [prepared](PollWaker::prepare).
    #[inline]
    pub fn take(&mut self) -> SavedWaker {
        self.clone.take().expect("cloned before the lock was taken")
    }
}
