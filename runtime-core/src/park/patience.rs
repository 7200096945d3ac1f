//! How long a thread that has to wait looks for its wake-up before it sleeps.
//!
//! To sleep and to be woken costs two system calls and two switches of threads: some 5 us if the processor is shared, and 20 us and more if
//! it has gone idle meanwhile. One who is answered sooner than that had better not sleep. What the answer takes is not known beforehand, so
//! the last wait decides: if it was short, whether slept through or not, the next one begins with a look-out; if it was long, the
//! thread sleeps at once. Thus a thread that waits for a clock or a client pays for two looks at the clock and no more, and one that plays
//! ping-pong with another thread does not sleep.
//!
//! A thread on the look-out yields its processor between any two looks: on a machine with fewer processors than threads it is another
//! thread that it waits for. Rejected: spinning with pauses, which on two processors keeps the one that it waits for from running; and a fixed
//! number of rounds, which idle threads pay for as well.
//!
//! Source of the rule: Linux, `halt_poll_ns` of KVM, which grows and shrinks in the same way.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::primitives::{spin_loop, thread};

/// A wait that is over sooner than this is short: what sleeping and being woken costs, at worst.
const SHORT: Duration = Duration::from_micros(50);

/// Looks without a yield before the first one with.
const SPINS: u32 = 20;

/// What a thread knows of its last wait.
#[derive(Debug)]
pub(crate) struct Patience {
    last_was_short: Cell<bool>,
}

impl Patience {
    pub(crate) const fn new() -> Self {
        Self {
            last_was_short: Cell::new(false),
        }
    }

    /// Waits until `woken` says so, which also uses the wake-up up, or `sleep` returns, which does at `deadline`.
    pub(crate) fn wait(
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
            while is_short() {
                thread::yield_now();
                if woken() {
                    return;
                }
            }
        }
        sleep();
        self.last_was_short.set(is_short());
    }
}

/// The attempts at something that another thread is about to make possible, before one stands in line for it: the pauses before each.
///
/// The first attempt is made at once, and some follow it quickly: whoever runs on another processor needs no longer than that. Then each is
/// preceded by a yield: who could make it possible may be waiting for this processor.
#[derive(Debug)]
pub(crate) struct Retries {
    round: u32,
}

/// Attempts after pauses: 2, 4 and 8 turns long.
const PAUSES: u32 = 3;
/// Attempts after a yield, which follow those.
const YIELDS: u32 = 7;

impl Retries {
    pub(crate) const fn new() -> Self {
        Self { round: 0 }
    }
}

impl Iterator for Retries {
    type Item = Pause;

    fn next(&mut self) -> Option<Pause> {
        let round = self.round;
        self.round += 1;
        match round {
            0 => Some(Pause::None),
            // To a model checker a yield is a switch like any other, and one attempt is as good as ten.
            _ if cfg!(any(lab_loom, lab_shuttle)) => None,
            1..=PAUSES => Some(Pause::Short(1 << round)),
            _ if round <= PAUSES + YIELDS => Some(Pause::Yield),
            _ => None,
        }
    }
}

/// What precedes an attempt.
#[derive(Clone, Copy, Debug)]
#[must_use = "an attempt without it comes too early"]
pub(crate) enum Pause {
    None,
    /// So many turns of a loop.
    Short(u32),
    Yield,
}

impl Pause {
    pub(crate) fn pass(self) {
        match self {
            Self::None => {}
            Self::Short(turns) => (0..turns).for_each(|_| spin_loop()),
            Self::Yield => thread::yield_now(),
        }
    }
}
