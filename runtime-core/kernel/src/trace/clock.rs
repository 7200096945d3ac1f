//! Time stamps: the processor's time stamp counter if it runs at one rate on all processors, otherwise the monotonic
//! clock. Reading the counter takes some 20 cycles; reading the clock takes three times as long.
#![allow(unsafe_code)]

use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

/// A shorter time than this says too little about the counter's rate.
const MIN_CALIBRATION: Duration = Duration::from_millis(10);

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Whether the time stamp counter is used.
static COUNTER: LazyLock<bool> = LazyLock::new(|| !cfg!(miri) && imp::is_steady());

/// A time stamp.
#[inline]
pub(super) fn now(uses_counter: bool) -> u64 {
    if uses_counter {
        imp::counter()
    } else {
        monotonic()
    }
}

/// Out of line, because few machines need it.
#[inline(never)]
fn monotonic() -> u64 {
    START.elapsed().as_nanos() as u64
}

/// Whether this process takes its stamps from the counter.
pub(super) fn uses_counter() -> bool {
    *COUNTER
}

/// One moment by both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) stamp: u64,
    at: Instant,
}

impl Mark {
    /// The present moment. Takes the closest of a few pairs of readings, because the thread may be preempted between
    /// two readings.
    pub(super) fn now() -> Self {
        let uses_counter = uses_counter();
        let pair = |_| {
            let before = now(uses_counter);
            let at = Instant::now();
            let after = now(uses_counter);
            (after.saturating_sub(before), Self { stamp: before, at })
        };
        let closest = (0..5).map(pair).min_by_key(|(width, _)| *width);
        closest.expect("there are five").1
    }
}

/// Turns stamps into nanoseconds since a first mark.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    start: u64,
    ns_per_tick: f64,
}

impl Scale {
    /// Calibrated by the time between `start` and now. Waits some milliseconds if `start` is too recent.
    pub(super) fn since(start: Mark) -> Self {
        if !uses_counter() {
            return Self {
                start: start.stamp,
                ns_per_tick: 1.0,
            };
        }
        if let Some(left) = MIN_CALIBRATION.checked_sub(start.at.elapsed()) {
            thread::sleep(left);
        }
        let end = Mark::now();
        let ns = end.at.duration_since(start.at).as_nanos() as f64;
        Self {
            start: start.stamp,
            ns_per_tick: ns / end.stamp.saturating_sub(start.stamp).max(1) as f64,
        }
    }

    /// Nanoseconds since the first mark. A stamp from before it is 0.
    pub(super) fn ns(&self, stamp: u64) -> u64 {
        (stamp.saturating_sub(self.start) as f64 * self.ns_per_tick) as u64
    }

    /// The number of ticks in `time`.
    pub(super) fn ticks(&self, time: Duration) -> u64 {
        (time.as_nanos() as f64 / self.ns_per_tick) as u64
    }
}

/// The number of ticks in `time`. Takes some milliseconds.
pub(super) fn ticks_of(time: Duration) -> u64 {
    Scale::since(Mark::now()).ticks(time)
}

#[cfg(target_arch = "x86_64")]
mod imp {
    use std::arch::x86_64::{__cpuid, _rdtsc};

    /// Whether the counter is invariant: bit 8 of EDX in the leaf on power management.
    pub(super) fn is_steady() -> bool {
        const POWER_MANAGEMENT: u32 = 0x8000_0007;
        #[allow(unused_unsafe, reason = "it is safe from some compiler version on")]
        // SAFETY: every x86-64 processor has the instruction.
        let (last, leaf) = unsafe { (__cpuid(0x8000_0000).eax, __cpuid(POWER_MANAGEMENT)) };
        last >= POWER_MANAGEMENT && leaf.edx & (1 << 8) != 0
    }

    #[inline]
    pub(super) fn counter() -> u64 {
        // SAFETY: every x86-64 processor has the instruction.
        unsafe { _rdtsc() }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod imp {
    pub(super) fn is_steady() -> bool {
        false
    }

    pub(super) fn counter() -> u64 {
        unreachable!("the counter is not used here")
    }
}

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_scale_agrees_with_the_monotonic_clock() {
        let start = Mark::now();
        let scale = Scale::since(start);
        let before = start.at.elapsed();
        let ns = scale.ns(now(uses_counter()));
        let after = start.at.elapsed();
        // Between two readings of the clock, with some slack for the uncertainty of the rate.
        let slack = Duration::from_millis(5).as_nanos() as u64;
        assert!(ns + slack >= before.as_nanos() as u64, "{ns} {before:?}");
        assert!(ns <= after.as_nanos() as u64 + slack, "{ns} {after:?}");
        assert_eq!(scale.ns(start.stamp), 0);
        assert_eq!(scale.ns(start.stamp.saturating_sub(1)), 0);
    }
}
