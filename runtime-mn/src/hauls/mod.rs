#![doc = include_str!("README.md")]

#[cfg(all(test, not(lab_loom), not(lab_shuttle)))]
mod tests;

use std::cell::Cell;
use std::time::Duration;

use runtime_core::primitives::atomic::{AtomicU64, Ordering::Relaxed};

/// Costs of so many steals are judged together.
const WINDOW: u64 = 32;
/// How long stealing rests at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(64);

/// What all workers have learned together. Relaxed throughout: it decides nothing but who runs a task.
#[derive(Debug)]
pub(crate) struct Hauls {
    /// Zero: stealing always pays.
    steal_ns: u64,
    wake_ns: u64,
    /// When the rest is over, on the runtime's clock; 0 while there is none.
    until_ns: AtomicU64,
    /// No rest begins before this.
    awake_until_ns: AtomicU64,
    pause_ns: AtomicU64,
}

/// One thief's account.
#[derive(Debug, Default)]
pub(crate) struct Haul {
    /// Somebody woke this worker, and it has found nothing yet, or a haul.
    was_woken: Cell<bool>,
    /// When the current haul began.
    since_ns: Cell<Option<u64>>,
    brought_ns: Cell<u64>,
    cost_ns: Cell<u64>,
}

impl Haul {
    /// This worker is awake again, and somebody has woken it, or not.
    pub(crate) fn woke(&self, was_woken: bool) {
        self.was_woken.set(was_woken);
    }

    /// It has found something: a haul, or it was woken for something else.
    pub(crate) fn found(&self) {
        if self.since_ns.get().is_none() {
            self.was_woken.set(false);
        }
    }
}

impl Hauls {
    pub(crate) fn new(steal: Duration, wake: Duration) -> Self {
        Self {
            steal_ns: steal.as_nanos() as u64,
            wake_ns: wake.as_nanos() as u64,
            until_ns: AtomicU64::new(0),
            awake_until_ns: AtomicU64::new(0),
            pause_ns: AtomicU64::new(FIRST_PAUSE.as_nanos() as u64),
        }
    }

    /// Whether stealing rests, or its rest has ended and nobody has noticed yet.
    #[inline]
    pub(crate) fn may_rest(&self) -> bool {
        self.until_ns.load(Relaxed) != 0
    }

    /// Whether stealing rests. Reads the clock only if it may.
    #[inline]
    pub(crate) fn rests(&self, now_ns: impl FnOnce() -> u64) -> bool {
        self.may_rest() && now_ns() < self.until_ns.load(Relaxed)
    }

    /// The rest is over.
    pub(crate) fn end_rest(&self) {
        if self.may_rest() {
            self.until_ns.store(0, Relaxed);
        }
    }

    /// The rest is over, and no other begins until then: what lies with a worker that is stuck must be run elsewhere, at any cost.
    pub(crate) fn stay_awake_until(&self, until_ns: u64) {
        self.awake_until_ns.store(until_ns, Relaxed);
        self.end_rest();
    }

    /// Whether one of so many pieces of work, which took so long in all, would be worth a steal.
    pub(crate) fn is_worth_a_steal(&self, pieces: u64, took_ns: u64) -> bool {
        took_ns >= self.steal_ns.saturating_mul(pieces)
    }

    /// A thief has stolen spawned tasks.
    pub(crate) fn begin(&self, thief: &Haul, now_ns: impl FnOnce() -> u64) {
        if self.steal_ns > 0 {
            thief.since_ns.set(Some(now_ns()));
        }
    }

    /// The thief has nothing left.
    #[inline]
    pub(crate) fn end(&self, thief: &Haul, now_ns: impl FnOnce() -> u64) {
        if let Some(since_ns) = thief.since_ns.take() {
            let now_ns = now_ns();
            let brought_ns = now_ns.saturating_sub(since_ns);
            self.enter(thief, self.steal_ns, brought_ns, || now_ns);
        }
    }

    /// The thief goes to sleep. What it costs to wake it is weighed against all that it has brought in since.
    pub(crate) fn sleeps(&self, thief: &Haul, now_ns: impl FnOnce() -> u64) {
        if thief.was_woken.take() && self.steal_ns > 0 {
            self.enter(thief, self.wake_ns, 0, now_ns);
        }
    }

    fn enter(&self, thief: &Haul, cost_ns: u64, brought_ns: u64, now_ns: impl FnOnce() -> u64) {
        let cost_ns = thief.cost_ns.get() + cost_ns;
        let brought_ns = thief.brought_ns.get() + brought_ns;
        if cost_ns < self.steal_ns * WINDOW {
            thief.cost_ns.set(cost_ns);
            thief.brought_ns.set(brought_ns);
            return;
        }
        thief.cost_ns.set(0);
        thief.brought_ns.set(0);
        let pause_ns = if brought_ns >= cost_ns {
            FIRST_PAUSE.as_nanos() as u64
        } else {
            let (now_ns, pause_ns) = (now_ns(), self.pause_ns.load(Relaxed));
            if now_ns < self.awake_until_ns.load(Relaxed) {
                return;
            }
            self.until_ns.store(now_ns + pause_ns, Relaxed);
            (pause_ns * 2).min(LONGEST_PAUSE.as_nanos() as u64)
        };
        self.pause_ns.store(pause_ns, Relaxed);
    }
}
