//! A waker that is kept until its task is to be woken.
//!
//! A waker is code of others: its clone, wake and drop may do anything, such as use the very thing that they wait
//! for, and may panic. So
//! - a waker is cloned before a lock is taken, and dropped after it was released ([`PollWaker`]);
//! - its wake and its drop are contained ([`SavedWaker`]).
//!
//! Its clone is not contained: it is called inside of the poll of the task that it wakes, and that poll can't go on
//! without it.
#![allow(unsafe_code)]

use std::mem::{self, ManuallyDrop};
use std::task::Waker;

use crate::contain::contain;
use crate::task;

/// A waker whose wake and drop are contained.
#[derive(Debug)]
pub struct SavedWaker(ManuallyDrop<Waker>);

impl SavedWaker {
    /// A clone of `waker`. It runs code of others: call it while no lock is held.
    #[inline]
    pub fn of(waker: &Waker) -> Self {
        Self(ManuallyDrop::new(waker.clone()))
    }

    /// Whether both wake the same task. Compares two pointers, and runs no code of others.
    #[inline]
    pub fn will_wake(&self, waker: &Waker) -> bool {
        self.0.will_wake(waker)
    }

    /// What it is about: a hint to the processor's caches.
    #[inline]
    pub fn data(&self) -> *const () {
        self.0.data()
    }

    /// Wakes the task. Call it while no lock is held.
    #[inline]
    pub fn wake(self) {
        let waker = self.into_waker();
        contain(|| waker.wake());
    }

    /// Wakes the task, which may have to be woken again. Call it while no lock is held.
    pub fn wake_by_ref(&self) {
        contain(|| self.0.wake_by_ref());
    }

    /// The waker, for one who contains its panics himself.
    #[inline]
    pub fn into_waker(self) -> Waker {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: taken once, as `this` is not dropped.
        unsafe { ManuallyDrop::take(&mut this.0) }
    }
}

impl Drop for SavedWaker {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: taken once, as this is the end of `self`.
        drop_contained(unsafe { ManuallyDrop::take(&mut self.0) });
    }
}

/// Out of line: it is seldom needed, and stands where a waiter might go.
#[inline(never)]
fn drop_contained(waker: Waker) {
    contain(|| drop(waker));
}

/// The waker of the poll that goes on, on its way to a place under a lock.
///
/// Declare it before the guard of the lock, so that it is dropped after it: with it go the clone that was not used
/// and the waker that was replaced.
pub struct PollWaker<'a> {
    waker: &'a Waker,
    clone: Option<SavedWaker>,
    replaced: Option<SavedWaker>,
}

impl<'a> PollWaker<'a> {
    #[inline]
    /// Of the poll whose waker this is. Clones nothing yet.
    pub fn new(waker: &'a Waker) -> Self {
        Self {
            waker,
            clone: None,
            replaced: None,
        }
    }

    /// Clones it, if that was not done before. It runs code of others: call it while no lock is held.
    #[inline]
    pub fn prepare(&mut self) {
        if self.clone.is_none() {
            self.clone = Some(SavedWaker::of(self.waker));
        }
    }

    /// Under a lock: as [`prepare`](PollWaker::prepare), if the waker is a task's, whose clone is a count and runs no
    /// code of others. False if there is no clone: release the lock, [`prepare`](PollWaker::prepare), and look again.
    ///
    /// For those who learn only under the lock that they have to wait: it saves them taking it twice.
    #[inline]
    pub fn prepare_locked(&mut self) -> bool {
        if self.clone.is_none() && task::is_a_tasks(self.waker) {
            self.prepare();
        }
        self.clone.is_some()
    }

    /// Whether `place` wakes the task already.
    #[inline]
    pub fn is_kept_in(&self, place: &SavedWaker) -> bool {
        place.will_wake(self.waker)
    }

    /// Under the lock: makes `place` wake the task. False, and nothing was changed, if that takes a clone and there
    /// is none: release the lock, [`prepare`](PollWaker::prepare), and look again.
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

    /// Under the lock: as [`store_in`](PollWaker::store_in), for a place that is always full.
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

    /// The clone, to be kept where there was none.
    ///
    /// # Panics
    /// If it was not [prepared](PollWaker::prepare).
    #[inline]
    pub fn take(&mut self) -> SavedWaker {
        self.clone.take().expect("cloned before the lock was taken")
    }
}
