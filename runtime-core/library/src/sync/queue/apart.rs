//! What a queue keeps without its lock, as taking an item from it runs code of others.
//!
//! A [`PriorityQueue`](super::PriorityQueue) compares its items. They need not be `Sync`, so one thread at a time
//! compares them: it *enters*. It takes the queue's lock to claim an item and to fetch what has come in, releases it,
//! and compares.
//!
//! **Who enters.** Whoever takes an item; and whoever has put one, if nobody is in: else that one, or the next who
//! takes, puts it in order.
//!
//! **What goes on meanwhile.** All but taking: items are put, waiters come and go, the queue is closed and asked for
//! its length, by any thread and by the comparison itself. Another thread that takes waits until the one that is in
//! has left. A comparison that takes from its own queue finds nothing: it would get an item from under its own feet.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};

use runtime_kernel::primitives::atomic::{AtomicUsize, Ordering};
use runtime_kernel::primitives::{Mutex, MutexGuard, thread_local};

thread_local! {
    /// Its address is the thread's.
    static OWN: Cell<u8> = const { Cell::new(0) };
}

/// No thread.
const NOBODY: usize = 0;

pub(super) struct Apart<A> {
    /// The thread that has entered. Relaxed: a thread only asks whether it is that one, and what it wrote itself it
    /// sees.
    entered: AtomicUsize,
    value: Mutex<A>,
}

/// The calling thread has entered already, and is in the middle of a comparison.
pub(super) struct Inside;

impl<A: Default> Apart<A> {
    pub(super) fn new() -> Self {
        Self {
            entered: AtomicUsize::new(NOBODY),
            value: Mutex::new(A::default()),
        }
    }

    /// # Errors
    /// If the calling thread is in already.
    pub(super) fn enter(&self) -> Result<Entered<'_, A>, Inside> {
        let own = OWN.with(|own| std::ptr::from_ref(own).addr());
        if self.entered.load(Ordering::Relaxed) == own {
            return Err(Inside);
        }
        Ok(self.entered_by(own, self.value.lock()))
    }

    /// Enters if nobody is in.
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

/// The right to run code of others on what is kept apart.
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
        self.apart.entered.store(NOBODY, Ordering::Relaxed);
    }
}
