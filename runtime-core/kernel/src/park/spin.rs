//! How long a thread that has to wait spins before it sleeps.
//!
//! Sleeping and being woken costs two system calls and two thread switches: some 5 us if the processor is shared, and
//! 20 us or more if it has gone idle meanwhile. A thread that gets its answer sooner should not sleep. The time until
//! the answer is not known in advance, so the last wait decides. If it was short, with or without sleeping, the next
//! one begins by spinning; if it was long, the thread sleeps at once. A thread that waits for a clock or a client
//! therefore pays only for two clock readings, and a thread that plays ping-pong with another one does not sleep.
//!
//! A spinning thread yields its processor between checks, because on a machine with fewer processors than threads,
//! the thread that it waits for needs a processor. Rejected: spinning with pauses, which on two processors keeps the
//! other thread from running; and a fixed number of checks, which idle threads would also pay for.
//!
//! A yield gives the processor to another thread, which may belong to a program that computes. The yield then costs
//! milliseconds, while a sleeping thread runs soon after it was woken. Each yield is therefore timed, and after a long
//! one the thread does not yield in its next waits: in one, then in three, and so on up to 63 while yields remain
//! long.
//!
//! Source of the rule: Linux, `halt_poll_ns` of KVM, which grows and shrinks in the same way.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::primitives::{spin_loop, thread};

/// A wait that is over sooner than this is short: it is the worst-case cost of sleeping and being woken.
const SHORT: Duration = Duration::from_micros(50);

/// The number of checks without a yield, before the checks with one.
const SPINS: u32 = 20;

/// A yield that takes longer than this costs more than sleeping would have.
const LONG_YIELD: Duration = Duration::from_micros(100);

/// The maximum number of waits without a yield after a long yield.
const MAX_SKIPPED: u8 = 63;

thread_local! {
    /// How many of the next waits do not yield, and how many there were after the last long yield.
    static SKIPPED: Cell<(u8, u8)> = const { Cell::new((0, 0)) };
}

/// Whether this wait may begin with yields. Call it once for each wait.
fn may_yield() -> bool {
    let may = SKIPPED.try_with(|skipped| match skipped.get() {
        (0, _) => true,
        (left, last) => {
            skipped.set((left - 1, last));
            false
        }
    });
    may.unwrap_or(false)
}

/// Yields the processor. Returns false if that took long.
fn yield_timed() -> bool {
    let began = Instant::now();
    thread::yield_now();
    let was_short = began.elapsed() < LONG_YIELD;
    let _ = SKIPPED.try_with(|skipped| {
        let (_, last) = skipped.get();
        skipped.set(if was_short {
            (0, last / 2)
        } else {
            let next = (2 * last + 1).min(MAX_SKIPPED);
            (next, next)
        });
    });
    was_short
}

/// What a thread knows about its last wait.
#[derive(Debug)]
pub struct AdaptiveSpin {
    last_was_short: Cell<bool>,
}

impl Default for AdaptiveSpin {
    fn default() -> Self {
        Self::new()
    }
}

impl AdaptiveSpin {
    /// Knows no wait yet: the first one sleeps at once.
    pub const fn new() -> Self {
        Self {
            last_was_short: Cell::new(false),
        }
    }

    /// Waits until `woken` returns true, which must also consume the wake-up, or until `sleep` returns, which must
    /// happen by `deadline`.
    pub fn wait(
        &self,
        deadline: Option<Instant>,
        mut woken: impl FnMut() -> bool,
        sleep: impl FnOnce(),
    ) {
        // A model checker has no time, and treats a yield as any other switch.
        if cfg!(any(lab_loom, lab_shuttle)) {
            return sleep();
        }
        let began = Instant::now();
        if deadline.is_some_and(|deadline| deadline.saturating_duration_since(began) < SHORT) {
            return sleep();
        }
        let is_short = || began.elapsed() < SHORT;
        if self.last_was_short.get() {
            for _ in 0..SPINS {
                if woken() {
                    return;
                }
                spin_loop();
            }
            let mut goes_on = may_yield();
            while goes_on {
                goes_on = yield_timed() && is_short();
                if woken() {
                    return;
                }
            }
        }
        sleep();
        self.last_was_short.set(is_short());
    }
}

/// Paces the attempts at something that another thread is about to make possible, before the caller queues for it.
///
/// The first attempt is made at once, and a few follow quickly: a thread on another processor needs no longer than
/// that. Then a yield precedes each attempt: the thread that could make it possible may be waiting for this processor.
#[derive(Debug)]
pub struct Backoff {
    round: u32,
    /// No yield has taken long so far.
    may_yield: bool,
}

/// Attempts after pauses, which are 2, 4 and 8 turns long.
const PAUSES: u32 = 3;
/// Attempts after a yield, which follow those after pauses.
const YIELDS: u32 = 7;

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

impl Backoff {
    /// The state before the first attempt.
    pub const fn new() -> Self {
        Self {
            round: 0,
            may_yield: true,
        }
    }
}

impl Backoff {
    /// Passes the time until the next attempt; false if there is none.
    pub fn again(&mut self) -> bool {
        let round = self.round;
        self.round += 1;
        match round {
            0 => true,
            // A model checker treats a yield as any other switch, and one attempt is as good as ten.
            _ if cfg!(any(lab_loom, lab_shuttle)) => false,
            1..=PAUSES => {
                (0..1 << round).for_each(|_| spin_loop());
                true
            }
            _ if round <= PAUSES + YIELDS && self.may_yield => {
                if round == PAUSES + 1 && !may_yield() {
                    return false;
                }
                self.may_yield = yield_timed();
                true
            }
            _ => false,
        }
    }

    /// Whether there is no further attempt.
    pub fn is_over(&self) -> bool {
        self.round > PAUSES + YIELDS
    }

    /// Makes the current attempt the last one.
    pub fn end(&mut self) {
        self.round = PAUSES + YIELDS + 1;
    }
}
