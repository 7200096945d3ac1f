//! Futures that take from one socket in turn: an event calls one of them.

use std::collections::VecDeque;
use std::num::NonZeroU64;

use crate::saved_waker::{PollWaker, SavedWaker};

/// The place of one future.
#[derive(Debug)]
pub(crate) struct Turn {
    key: NonZeroU64,
    /// `None` if it was called: it was woken, and has neither waited again nor left.
    waker: Option<SavedWaker>,
}

impl Turn {
    /// The place of the future `key`, which waits.
    ///
    /// # Panics
    /// If `own` was not [prepared](PollWaker::prepare).
    pub(super) fn new(key: NonZeroU64, own: &mut PollWaker<'_>) -> Self {
        Self {
            key,
            waker: Some(own.take()),
        }
    }

    pub(super) fn key(&self) -> NonZeroU64 {
        self.key
    }

    /// Makes it wait again, with the waker of this poll. Returns the waker that this replaces.
    ///
    /// # Panics
    /// If `own` was not [prepared](PollWaker::prepare).
    #[must_use]
    pub(super) fn wait(&mut self, own: &mut PollWaker<'_>) -> Option<SavedWaker> {
        match &mut self.waker {
            Some(waker) if own.is_kept_in(waker) => None,
            waker => waker.replace(own.take()),
        }
    }

    /// Calls it: returns its waker, unless it has been called already.
    #[must_use]
    pub(super) fn call(&mut self) -> Option<SavedWaker> {
        self.waker.take()
    }
}

/// What remains to be done for a future that has left, after the lock is released.
#[derive(Debug)]
pub(crate) struct Left {
    /// It was called: if the socket is still ready, call the next one.
    pub(super) was_called: bool,
    /// Drop this.
    pub(super) waker: Option<SavedWaker>,
}

impl From<Turn> for Left {
    fn from(turn: Turn) -> Self {
        Self {
            was_called: turn.waker.is_none(),
            waker: turn.waker,
        }
    }
}

/// The places in the order in which their futures came, which is the order of their keys. A called future keeps its
/// place until it leaves.
#[derive(Debug, Default)]
pub(crate) struct Turns(VecDeque<Turn>);

impl Turns {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn position(&self, key: NonZeroU64) -> Result<usize, usize> {
        self.0.binary_search_by_key(&key, Turn::key)
    }

    /// Adds a future that is not in the list.
    pub(super) fn add(&mut self, turn: Turn) {
        let (Ok(index) | Err(index)) = self.position(turn.key);
        self.0.insert(index, turn);
    }

    pub(super) fn get_mut(&mut self, key: NonZeroU64) -> Option<&mut Turn> {
        let index = self.position(key).ok()?;
        self.0.get_mut(index)
    }

    /// Removes the future `key`.
    #[must_use]
    pub(super) fn leave(&mut self, key: NonZeroU64) -> Option<Left> {
        let index = self.position(key).ok()?;
        self.0.remove(index).map(Left::from)
    }

    /// Calls the first future that was not called, and returns its waker.
    #[must_use]
    pub(super) fn call(&mut self) -> Option<SavedWaker> {
        self.0.iter_mut().find_map(Turn::call)
    }

    /// The first future that was called and was not polled since, if others wait behind it.
    pub(super) fn called_before_others(&self) -> Option<NonZeroU64> {
        let called = self.0.iter().find(|turn| turn.waker.is_none())?;
        let is_awaited = self.0.iter().any(|turn| turn.waker.is_some());
        is_awaited.then_some(called.key)
    }

    /// Wakes all that were not called.
    pub(super) fn wake_all(self) {
        for mut turn in self.0 {
            if let Some(waker) = turn.call() {
                waker.wake();
            }
        }
    }
}
