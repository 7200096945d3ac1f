//! What the cases wait for: a count that others increment, and an event that happens once.
//!
//! A task can await both, and a thread can wait for both. They belong to no runtime, so that a broken scheduler can't
//! hide behind a broken primitive: they consist of a mutex, a condition variable and a list of wakers.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// A number that only grows. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Count(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    raised: Condvar,
}

#[derive(Debug, Default)]
struct State {
    value: usize,
    waiting: Vec<Waker>,
}

impl Count {
    /// Zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one, and wakes all waiters.
    pub fn add(&self) {
        let waiting = {
            let mut state = self.state();
            state.value += 1;
            std::mem::take(&mut state.waiting)
        };
        self.0.raised.notify_all();
        for waker in waiting {
            waker.wake();
        }
    }

    /// The count so far.
    pub fn get(&self) -> usize {
        self.state().value
    }

    /// Completes when the count is at least `value`.
    pub fn reach(&self, value: usize) -> Reach {
        Reach {
            count: self.clone(),
            value,
        }
    }

    /// Blocks the calling thread until the count is at least `value`.
    pub fn reach_blocking(&self, value: usize) {
        let reached = self
            .0
            .raised
            .wait_while(self.state(), |state| state.value < value);
        drop(reached.unwrap_or_else(PoisonError::into_inner));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for a [`Count`]: see [`Count::reach`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Reach {
    count: Count,
    value: usize,
}

impl Future for Reach {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.count.state();
        if state.value >= self.value {
            return Poll::Ready(());
        }
        if !state
            .waiting
            .iter()
            .any(|known| known.will_wake(cx.waker()))
        {
            state.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

/// Something that happens once. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Event(Count);

impl Event {
    /// An event that has not happened.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the event; all waiters continue. Any thread may call it, more than once.
    pub fn set(&self) {
        self.0.add();
    }

    /// Whether it has happened.
    pub fn is_set(&self) -> bool {
        self.0.get() > 0
    }

    /// Completes when it has happened.
    pub fn wait(&self) -> Reach {
        self.0.reach(1)
    }

    /// Blocks the calling thread until it has happened.
    pub fn wait_blocking(&self) {
        self.0.reach_blocking(1);
    }
}
