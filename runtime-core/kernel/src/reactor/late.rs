//! Futures that were called to take from a socket but are not polled: after a while, those behind them are woken.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use super::readiness::Direction;
use super::token::Token;
use crate::primitives::atomic::{AtomicBool, Ordering::Relaxed};
use crate::primitives::{Mutex, now};

/// How long a called future may block the others.
const MAX_DELAY: Duration = Duration::from_millis(10);

/// A called future, with others behind it.
#[derive(Debug)]
struct Call {
    token: Token,
    direction: Direction,
    called: NonZeroU64,
    since: Instant,
}

/// What a check of a socket finds.
pub(super) enum Found {
    /// No called future blocks others.
    Nobody,
    /// That future was called, and others wait behind it.
    Called(NonZeroU64),
}

/// The calls that the poller watches. Only threads that poll touch it.
#[derive(Default)]
pub(super) struct Calls {
    /// Whether the list is not empty.
    any: AtomicBool,
    list: Mutex<Vec<Call>>,
}

impl Calls {
    /// Records that an event has called `called`, and that others wait behind it.
    #[cold]
    pub(super) fn note(&self, token: Token, direction: Direction, called: NonZeroU64) {
        let mut list = self.list.lock();
        let is_known = |call: &Call| call.token == token && call.direction == direction;
        if !list.iter().any(is_known) {
            list.push(Call {
                token,
                direction,
                called,
                since: now(),
            });
        }
        // Relaxed: a hint. The thread that polls next has stored this itself, or got the poller from the thread that
        // did.
        self.any.store(true, Relaxed);
    }

    /// The time limit of a poll that would otherwise last for `timeout`.
    #[inline]
    pub(super) fn bound(&self, timeout: Option<Duration>) -> Option<Duration> {
        if self.any.load(Relaxed) {
            return Some(timeout.map_or(MAX_DELAY, |timeout| timeout.min(MAX_DELAY)));
        }
        timeout
    }

    /// Checks each call. `look` returns the present state of its socket; `wake_all` is called for those that are
    /// overdue.
    #[inline]
    pub(super) fn look(
        &self,
        look: impl Fn(Token, Direction) -> Found,
        wake_all: impl Fn(Token, Direction),
    ) {
        if self.any.load(Relaxed) {
            self.look_at_each(look, wake_all);
        }
    }

    #[cold]
    fn look_at_each(
        &self,
        look: impl Fn(Token, Direction) -> Found,
        wake_all: impl Fn(Token, Direction),
    ) {
        let mut late = Vec::new();
        let mut list = self.list.lock();
        list.retain_mut(|call| match look(call.token, call.direction) {
            Found::Nobody => false,
            Found::Called(called) if called != call.called => {
                call.called = called;
                call.since = now();
                true
            }
            Found::Called(_) if now().duration_since(call.since) < MAX_DELAY => true,
            Found::Called(_) => {
                late.push((call.token, call.direction));
                false
            }
        });
        self.any.store(!list.is_empty(), Relaxed);
        drop(list);
        // Not under the lock: wakers are user code.
        for (token, direction) in late {
            wake_all(token, direction);
        }
    }
}
