//! The waiters of one direction of one socket.

use std::num::NonZeroU64;

use super::readiness::Direction;
use super::turns::{Left, Turn, Turns};
use crate::saved_waker::{PollWaker, SavedWaker};

/// The maximum number of wakers of `poll_*` callers that one direction keeps.
///
/// Such a caller has no destructor that could remove its waker. A caller that polls with new wakers all the time (for
/// example in a `select` over a set of futures) would accumulate them. Beyond this number, the oldest one is woken and
/// dropped. If it still waits, it polls again and is back in the list. So nothing is lost, and the list is bounded.
const MAX_UNKEYED: usize = 32;

/// The place of a waiting future in a list: it removes its waker when it is dropped.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WaitKey {
    /// `None` before it has waited. Keys grow: of two futures that take turns, the one with the smaller key came first.
    pub(crate) number: Option<NonZeroU64>,
    /// Under 1:1: the thread on which it waits, as the address of that thread's parker; 0: on none.
    pub(crate) thread: usize,
}

/// The ways to wait.
pub(crate) enum WaitAs<'a> {
    /// Called from a `poll_*`: each event wakes it.
    Caller,
    /// A future that waits for readiness: each event wakes it.
    Together(&'a mut WaitKey),
    /// A future that takes something from the socket and then calls the next one: an event calls one of them.
    InTurn(&'a mut WaitKey),
}

impl WaitAs<'_> {
    pub(crate) fn reborrow(&mut self) -> WaitAs<'_> {
        match self {
            Self::Caller => WaitAs::Caller,
            Self::Together(key) => WaitAs::Together(key),
            Self::InTurn(key) => WaitAs::InTurn(key),
        }
    }
}

/// A waiter that each event wakes.
#[derive(Debug)]
pub(crate) struct Waiter {
    key: Option<NonZeroU64>,
    waker: SavedWaker,
}

/// The wakers of one direction. Usually there is one, which needs no allocation; then nobody looks beyond it, because
/// the next cache line may be far away.
#[derive(Debug, Default)]
pub(crate) enum WaitList {
    #[default]
    Empty,
    One(Waiter),
    OneInTurn(Turn),
    /// At least one waiter.
    Many(Box<Many>),
}

#[derive(Debug, Default)]
pub(crate) struct Many {
    together: Vec<Waiter>,
    turns: Turns,
}

impl WaitList {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// Whether futures take turns here, including those that were called.
    pub(crate) fn has_turns(&self) -> bool {
        match self {
            Self::Empty | Self::One(_) => false,
            Self::OneInTurn(_) => true,
            Self::Many(many) => !many.turns.is_empty(),
        }
    }

    fn together_mut(&mut self) -> &mut [Waiter] {
        match self {
            Self::Empty | Self::OneInTurn(_) => &mut [],
            Self::One(waiter) => std::slice::from_mut(waiter),
            Self::Many(many) => &mut many.together,
        }
    }

    fn into_many(self) -> Box<Many> {
        let mut many = Box::<Many>::default();
        match self {
            Self::Empty => {}
            Self::One(waiter) => many.together.push(waiter),
            Self::OneInTurn(turn) => many.turns.add(turn),
            Self::Many(is_many) => return is_many,
        }
        many
    }

    fn push(&mut self, waiter: Waiter) {
        *self = match self.take() {
            Self::Empty => Self::One(waiter),
            others => {
                let mut many = others.into_many();
                many.together.push(waiter);
                Self::Many(many)
            }
        };
    }

    fn push_turn(&mut self, turn: Turn) {
        *self = match self.take() {
            Self::Empty => Self::OneInTurn(turn),
            others => {
                let mut many = others.into_many();
                many.turns.add(turn);
                Self::Many(many)
            }
        };
    }

    /// Replaces an empty list of many by the empty list.
    fn tidy(&mut self) {
        if let Self::Many(many) = self
            && many.together.is_empty()
            && many.turns.is_empty()
        {
            *self = Self::Empty;
        }
    }

    /// Adds the waker of a `poll_*` caller, unless the same task waits already. The returned waker was displaced: wake
    /// it after the lock is released.
    ///
    /// # Panics
    /// If `own` was not [prepared](PollWaker::prepare).
    #[must_use]
    #[inline]
    pub(crate) fn add(&mut self, own: &mut PollWaker<'_>) -> Option<SavedWaker> {
        if self.is_empty() {
            *self = Self::One(Waiter {
                key: None,
                waker: own.take(),
            });
            return None;
        }
        self.add_to_others(own)
    }

    /// The rest of [`add`](WaitList::add), for a list that is not empty.
    fn add_to_others(&mut self, own: &mut PollWaker<'_>) -> Option<SavedWaker> {
        let mut unkeyed = 0;
        for waiter in self.together_mut() {
            if waiter.key.is_none() {
                if own.is_kept_in(&waiter.waker) {
                    return None;
                }
                unkeyed += 1;
            }
        }
        let displaced = if unkeyed < MAX_UNKEYED {
            None
        } else {
            self.remove_where(|waiter| waiter.key.is_none())
        };
        self.push(Waiter {
            key: None,
            waker: own.take(),
        });
        displaced
    }

    /// Adds or refreshes the waker of the future `key`. The returned waker was replaced. Like a displaced one, wake it
    /// after the lock is released (and never drop it under the lock: that may run a task's destructor).
    ///
    /// # Panics
    /// If `own` was not [prepared](PollWaker::prepare).
    #[must_use]
    pub(crate) fn add_keyed(
        &mut self,
        key: NonZeroU64,
        own: &mut PollWaker<'_>,
    ) -> Option<SavedWaker> {
        for waiter in self.together_mut() {
            if waiter.key == Some(key) {
                if own.is_kept_in(&waiter.waker) {
                    return None;
                }
                return Some(std::mem::replace(&mut waiter.waker, own.take()));
            }
        }
        self.push(Waiter {
            key: Some(key),
            waker: own.take(),
        });
        None
    }

    /// Like [`add_keyed`](WaitList::add_keyed), for a future that takes turns with others. It keeps its place.
    ///
    /// # Panics
    /// If `own` was not [prepared](PollWaker::prepare).
    #[must_use]
    pub(crate) fn add_in_turn(
        &mut self,
        key: NonZeroU64,
        own: &mut PollWaker<'_>,
    ) -> Option<SavedWaker> {
        let listed = match self {
            Self::OneInTurn(turn) if turn.key() == key => Some(turn),
            Self::Many(many) => many.turns.get_mut(key),
            _ => None,
        };
        if let Some(turn) = listed {
            return turn.wait(own);
        }
        self.push_turn(Turn::new(key, own));
        None
    }

    /// Removes the waker of the future `key`. Drop it after the lock is released.
    #[must_use]
    pub(crate) fn remove(&mut self, key: NonZeroU64) -> Option<SavedWaker> {
        self.remove_where(|waiter| waiter.key == Some(key))
    }

    fn remove_where(&mut self, matches: impl Fn(&Waiter) -> bool) -> Option<SavedWaker> {
        let position = self.together_mut().iter().position(matches)?;
        let removed = match self {
            Self::Many(many) => many.together.remove(position).waker,
            Self::One(_) => match self.take() {
                Self::One(waiter) => waiter.waker,
                _ => return None,
            },
            Self::Empty | Self::OneInTurn(_) => return None,
        };
        self.tidy();
        Some(removed)
    }

    /// Removes the future `key`, which takes turns with others. Returns `None` if it is not there.
    #[must_use]
    pub(crate) fn leave(&mut self, key: NonZeroU64) -> Option<Left> {
        match self {
            Self::Many(many) => {
                let left = many.turns.leave(key);
                self.tidy();
                left
            }
            Self::OneInTurn(turn) if turn.key() == key => match self.take() {
                Self::OneInTurn(turn) => Some(turn.into()),
                _ => None,
            },
            _ => None,
        }
    }

    /// Calls the first future in turn that was not called, and returns its waker.
    #[must_use]
    pub(crate) fn call(&mut self) -> Option<SavedWaker> {
        match self {
            Self::Empty | Self::One(_) => None,
            Self::OneInTurn(turn) => turn.call(),
            Self::Many(many) => many.turns.call(),
        }
    }

    /// The future in turn that was called first and was not polled since, if others wait behind it.
    #[must_use]
    pub(crate) fn called_before_others(&self) -> Option<NonZeroU64> {
        match self {
            Self::Empty | Self::One(_) | Self::OneInTurn(_) => None,
            Self::Many(many) => many.turns.called_before_others(),
        }
    }

    /// Takes the waiters that an event wakes: all that wait together, and the one whose turn it is.
    #[must_use]
    #[inline]
    pub(crate) fn take_for_event(&mut self) -> Self {
        match self {
            Self::Empty | Self::One(_) => self.take(),
            Self::OneInTurn(_) | Self::Many(_) => self.take_one_turn(),
        }
    }

    fn take_one_turn(&mut self) -> Self {
        let together = match self {
            Self::Many(many) => std::mem::take(&mut many.together),
            _ => Vec::new(),
        };
        let called = self.call().map(|waker| Waiter { key: None, waker });
        self.tidy();
        match called {
            Some(called) if together.is_empty() => Self::One(called),
            None if together.is_empty() => Self::Empty,
            called => Self::Many(Box::new(Many {
                together: together.into_iter().chain(called).collect(),
                turns: Turns::default(),
            })),
        }
    }

    /// Empties the list. The caller wakes the waiters after it has released the lock.
    #[must_use]
    pub(crate) fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// Wakes everyone, in the order in which they came. A panic in another executor's waker ends here: otherwise the
    /// rest of the waiters and of the events would be lost, because they are reported only once.
    #[inline]
    pub(crate) fn wake_all(self) {
        match self {
            Self::Empty => {}
            Self::One(waiter) => waiter.waker.wake(),
            Self::OneInTurn(mut turn) => {
                if let Some(waker) = turn.call() {
                    waker.wake();
                }
            }
            Self::Many(many) => many.wake_all(),
        }
    }
}

impl Many {
    fn wake_all(self) {
        for waiter in self.together {
            waiter.waker.wake();
        }
        self.turns.wake_all();
    }
}

/// The lists of both directions, and the keys for their futures. The order of the fields matters: see
/// [`Source`](super::source::Source).
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Waiters {
    pub(crate) read: WaitList,
    pub(crate) write: WaitList,
    last_key: u64,
}

impl Waiters {
    pub(crate) fn list(&mut self, direction: Direction) -> &mut WaitList {
        match direction {
            Direction::Read => &mut self.read,
            Direction::Write => &mut self.write,
        }
    }

    pub(crate) fn new_key(&mut self) -> NonZeroU64 {
        self.last_key += 1;
        NonZeroU64::new(self.last_key).unwrap_or(NonZeroU64::MIN)
    }
}

#[cfg(test)]
mod tests;
