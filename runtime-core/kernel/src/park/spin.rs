//! How long a thread that has to wait looks for its wake-up before it sleeps.
//!
//! To sleep and to be woken costs two system calls and two switches of threads: some 5 us if the processor is shared,
//! and 20 us and more if it has gone idle meanwhile. One who is answered sooner than that had better not sleep. What
//! the answer takes is not known beforehand, so the last wait decides: if it was short, whether slept through or not,
//! the next one begins with a look-out; if it was long, the thread sleeps at once. Thus a thread that waits for a
//! clock or a client pays for two looks at the clock and no more, and one that plays ping-pong with another thread
//! does not sleep.
//!
//! A thread on the look-out yields its processor between any two looks: on a machine with fewer processors than
//! threads it is another thread that it waits for. Rejected: spinning with pauses, which on two processors keeps the
//! one that it waits for from running; and a fixed number of looks, which idle threads pay for as well.
//!
//! A yield gives a time slice to whoever else wants the processor, and that may be a program that computes. It then
//! costs milliseconds, while a thread that sleeps is run soon after it was woken. So each yield is timed, and after
//! one that took long the thread does not yield in its next waits: in one, in three, and so on up to 63, if it goes on
//! like that.
//!
//! Source of the rule: Linux, `halt_poll_ns` of KVM, which grows and shrinks in the same way.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::primitives::{spin_loop, thread};

/// A wait that is over sooner than this is short: what sleeping and being woken costs, at worst.
const SHORT: Duration = Duration::from_micros(50);

/// Looks without a yield before the first one with.
const SPINS: u32 = 20;

/// A yield that takes longer than this cost more than to sleep would have.
const LONG_YIELD: Duration = Duration::from_micros(100);

/// The most waits without a yield after one that took long.
const MOST_SKIPPED: u8 = 63;

thread_local! {
    /// The waits that are still to go without a yield, and how many they were last time.
    static SKIPPED: Cell<(u8, u8)> = const { Cell::new((0, 0)) };
}

/// Whether a wait may begin with yields. To be asked once for each wait.
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

/// Lets others have the processor. False if that took long.
fn yield_timed() -> bool {
    let began = Instant::now();
    thread::yield_now();
    let was_short = began.elapsed() < LONG_YIELD;
    let _ = SKIPPED.try_with(|skipped| {
        let (_, last) = skipped.get();
        skipped.set(if was_short {
            (0, last / 2)
        } else {
            let next = (2 * last + 1).min(MOST_SKIPPED);
            (next, next)
        });
    });
    was_short
}

/// What a thread knows of its last wait.
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
    /// Knows of no wait: the first one sleeps at once.
    pub const fn new() -> Self {
        Self {
            last_was_short: Cell::new(false),
        }
    }

    /// Waits until `woken` says so, which also uses the wake-up up, or `sleep` returns, which does at `deadline`.
    pub fn wait(
        &self,
        deadline: Option<Instant>,
        mut woken: impl FnMut() -> bool,
        sleep: impl FnOnce(),
    ) {
        // A model checker has no time, and to it a yield is a switch like any other.
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

/// The attempts at something that another thread is about to make possible, before one stands in line for it.
///
/// The first attempt is made at once, and some follow it quickly: whoever runs on another processor needs no longer
/// than that. Then each is preceded by a yield: who could make it possible may be waiting for this processor.
#[derive(Debug)]
pub struct Backoff {
    round: u32,
    /// No yield has taken long.
    may_yield: bool,
}

/// Attempts after pauses: 2, 4 and 8 turns long.
const PAUSES: u32 = 3;
/// Attempts after a yield, which follow those.
const YIELDS: u32 = 7;

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

impl Backoff {
    /// Before the first attempt.
    pub const fn new() -> Self {
        Self {
            round: 0,
            may_yield: true,
        }
    }
}

impl Backoff {
    /// Passes the time before the next attempt; false if there is to be none.
    pub fn again(&mut self) -> bool {
        let round = self.round;
        self.round += 1;
        match round {
            0 => true,
            // To a model checker a yield is a switch like any other, and one attempt is as good as ten.
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

    /// There is to be no further attempt.
    pub fn is_over(&self) -> bool {
        self.round > PAUSES + YIELDS
    }

    /// Ends it early.
    pub fn end(&mut self) {
        self.round = PAUSES + YIELDS + 1;
    }
}
