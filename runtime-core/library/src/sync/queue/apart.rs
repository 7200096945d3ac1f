//! The part of a queue that lies outside its lock, because taking an item from it runs user code.
//!
//! A [`PriorityQueue`](super::PriorityQueue) compares its items. They need not be `Sync`, so only one thread at a time
//! compares them: it *enters*. It takes the queue's lock to claim an item and to fetch new items, releases the lock,
//! and compares.
//!
//! **Who enters.** Every thread that takes an item. A thread that has put an item enters if no thread is inside;
//! otherwise the thread that is inside, or the next one that takes, puts the new item in order.
//!
//! **What continues meanwhile.** Everything except taking: any thread, and the comparison itself, can put items, wait,
//! stop waiting, close the queue and ask for its length. Another thread that takes waits until the thread inside has
//! left. A comparison that takes from its own queue finds nothing, because an item could otherwise disappear in the
//! middle of the comparison.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};

use runtime_kernel::primitives::atomic::{AtomicUsize, Ordering};
use runtime_kernel::primitives::{Mutex, MutexGuard, thread_local};

thread_local! {
    /// The address of this thread-local identifies the thread.
    static OWN: Cell<u8> = const { Cell::new(0) };
}

/// The value for "no thread".
const NO_THREAD: usize = 0;

pub(super) struct Apart<A> {
    /// The thread that has entered. Relaxed: a thread only asks whether that is itself, and it sees its own writes.
    entered: AtomicUsize,
    value: Mutex<A>,
}

/// The calling thread has already entered, and is in the middle of a comparison.
pub(super) struct Inside;

impl<A: Default> Apart<A> {
    pub(super) fn new() -> Self {
        Self {
            entered: AtomicUsize::new(NO_THREAD),
            value: Mutex::new(A::default()),
        }
    }

    /// # Errors
    /// If the calling thread is already inside.
    pub(super) fn enter(&self) -> Result<Entered<'_, A>, Inside> {
        let own = OWN.with(|own| std::ptr::from_ref(own).addr());
        if self.entered.load(Ordering::Relaxed) == own {
            return Err(Inside);
        }
        Ok(self.entered_by(own, self.value.lock()))
    }

    /// Enters if no thread is inside.
    pub(super) fn try_enter(&self) -> Option<Entered<'_, A>> {
        let own = OWN.with(|own| std::ptr::from_ref(own).addr());
        Some(self.entered_by(own, self.value.try_lock()?))
    }

    fn entered_by<'a>(&'a self, thread: usize, value: MutexGuard<'a, A>) -> Entered<'a, A> {
        self.entered.store(thread, Ordering::Relaxed);
        Entered { apart: self, value }
    }

    pub(super) fn get_mut(&mut self) -> &mut A {
        self.value.get_mut()
    }
}

/// The right to run user code on the part outside the lock.
pub(super) struct Entered<'a, A> {
    apart: &'a Apart<A>,
    value: MutexGuard<'a, A>,
}

impl<A> Deref for Entered<'_, A> {
    type Target = A;

    fn deref(&self) -> &A {
        &self.value
    }
}

impl<A> DerefMut for Entered<'_, A> {
    fn deref_mut(&mut self) -> &mut A {
        &mut self.value
    }
}

impl<A> Drop for Entered<'_, A> {
    fn drop(&mut self) {
        self.apart.entered.store(NO_THREAD, Ordering::Relaxed);
    }
}
