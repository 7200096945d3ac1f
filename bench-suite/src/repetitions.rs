//! Repeats a workload's timed part for as long as its time budget allows.
//!
//! [`Meter::repeat`](crate::Meter::repeat) takes a closure. An async workload can't use it without naming the future
//! that the closure returns, so it calls a method before and after each repetition instead:
//!
//! ```
//! use bench_suite::repetitions::Repetitions;
//! use bench_suite::Meter;
//!
//! let mut meter = Meter::default();
//! let mut repetitions = Repetitions::new(1_000_000);
//! while repetitions.next(&mut meter) {
//!     let sum: u64 = (0..1000).map(std::hint::black_box).sum();
//!     assert_eq!(sum, 499_500);
//!     repetitions.done(&mut meter, 1000);
//! }
//! assert!(!meter.samples.is_empty());
//! ```

use std::time::{Duration, Instant};

use crate::measure::Meter;
use crate::vocabulary::Failure;

/// A budget yields at most this many samples. Samples of a few microseconds would measure the clock, and thousands of
/// them would only lengthen the results.
const SAMPLES: u32 = 50;

/// Counts repetitions against a time budget.
///
/// The first repetition warms up memory and the runtime, and is not recorded. Several short repetitions form one
/// sample.
#[derive(Debug)]
pub struct Repetitions {
    budget: Duration,
    begun: Instant,
    sample_begun: Instant,
    /// The minimum length of a sample.
    sample: Duration,
    ops: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fresh,
    WarmingUp,
    BetweenSamples,
    InSample,
}

impl Repetitions {
    /// Repeats for `budget_ns` nanoseconds of measured time. At least one repetition is recorded.
    pub fn new(budget_ns: u64) -> Self {
        let now = Instant::now();
        Self {
            budget: Duration::from_nanos(budget_ns),
            begun: now,
            sample_begun: now,
            sample: Duration::from_nanos(budget_ns) / SAMPLES,
            ops: 0,
            state: State::Fresh,
        }
    }

    /// Like [`new`](Repetitions::new), with one sample per repetition. Use it if the workload has work between
    /// repetitions that must not be measured. That work goes between [`more`](Repetitions::more) and
    /// [`next`](Repetitions::next).
    pub fn each(budget_ns: u64) -> Self {
        Self {
            sample: Duration::ZERO,
            ..Self::new(budget_ns)
        }
    }

    /// Whether there is time for another repetition.
    pub fn more(&self, meter: &Meter) -> bool {
        let samples = u32::try_from(meter.samples.len()).unwrap_or(u32::MAX);
        if self.state != State::BetweenSamples || samples == 0 {
            return true;
        }
        // Another sample as long as the mean so far must fit.
        let used = self.begun.elapsed();
        used + used / samples <= self.budget
    }

    /// Whether to repeat once more. If so, the repetition begins now.
    pub fn next(&mut self, meter: &mut Meter) -> bool {
        if !self.more(meter) {
            return false;
        }
        match self.state {
            State::Fresh => self.state = State::WarmingUp,
            State::WarmingUp | State::InSample => {}
            State::BetweenSamples => {
                self.sample_begun = Instant::now();
                if meter.samples.is_empty() {
                    self.begun = self.sample_begun;
                }
                self.state = State::InSample;
                meter.start();
            }
        }
        true
    }

    /// Ends the repetition, in which `ops` operations were done.
    pub fn done(&mut self, meter: &mut Meter, ops: u64) {
        match self.state {
            State::Fresh => unreachable!("`done` follows `next`"),
            State::WarmingUp | State::BetweenSamples => self.state = State::BetweenSamples,
            State::InSample => {
                self.ops += ops;
                if self.sample_begun.elapsed() >= self.sample {
                    meter.stop(std::mem::take(&mut self.ops));
                    self.state = State::BetweenSamples;
                }
            }
        }
    }
}

impl Meter {
    /// Repeats `body` until `budget_ns` of measured time are used, or until another sample of mean length would not
    /// fit; at least once. An extra first repetition is not counted: it faults memory in and lets the runtime settle.
    /// Short repetitions share a sample; see [`Repetitions`].
    ///
    /// `body` receives the number of the repetition and returns the operations that it did. Number 0 is the uncounted
    /// one.
    ///
    /// # Errors
    /// The first failure of `body`, immediately. Earlier samples are kept.
    ///
    /// ```
    /// use bench_suite::Meter;
    ///
    /// let mut meter = Meter::default();
    /// meter.repeat(1_000_000, |_| Ok((0..1000_u64).map(std::hint::black_box).count() as u64))?;
    /// assert!(meter.samples.iter().all(|sample| sample.ops % 1000 == 0));
    /// # Ok::<(), bench_suite::Failure>(())
    /// ```
    pub fn repeat<F>(&mut self, budget_ns: u64, mut body: F) -> Result<(), Failure>
    where
        F: FnMut(u64) -> Result<u64, Failure>,
    {
        let mut repetitions = Repetitions::new(budget_ns);
        let mut repetition = 0;
        while repetitions.next(self) {
            match body(repetition) {
                Ok(ops) => repetitions.done(self, ops),
                Err(failure) => {
                    self.abandon();
                    return Err(failure);
                }
            }
            repetition += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(budget_ns: u64, mut body: impl FnMut()) -> (u64, Meter) {
        let mut meter = Meter::default();
        let mut repetitions = Repetitions::new(budget_ns);
        let mut runs = 0;
        while repetitions.next(&mut meter) {
            body();
            runs += 1;
            repetitions.done(&mut meter, 3);
        }
        (runs, meter)
    }

    #[test]
    fn without_time_one_repetition_warms_up_and_one_is_recorded() {
        let (runs, meter) = count(0, || ());
        assert_eq!(runs, 2);
        assert_eq!(meter.samples.len(), 1);
        assert_eq!(meter.samples[0].ops, 3);
    }

    #[test]
    fn short_repetitions_share_a_sample_and_every_op_but_the_warm_up_is_counted() {
        let (runs, meter) = count(5_000_000, || ());
        let ops: u64 = meter.samples.iter().map(|sample| sample.ops).sum();
        assert_eq!(ops, (runs - 1) * 3);
        assert!(meter.samples.len() <= SAMPLES as usize);
        assert!(runs > meter.samples.len() as u64);
    }

    #[test]
    fn the_first_repetition_is_not_counted_and_at_least_one_is() {
        let mut seen = Vec::new();
        let mut meter = Meter::default();
        meter
            .repeat(0, |repetition| {
                seen.push(repetition);
                Ok(7)
            })
            .unwrap();
        assert_eq!(seen, [0, 1]);
        assert_eq!(meter.samples.len(), 1);
        assert_eq!(meter.samples[0].ops, 7);
    }

    #[test]
    fn a_failure_ends_the_repetitions_and_keeps_the_measurements() {
        let mut meter = Meter::default();
        // A sample lasts a fiftieth of the budget, and each repetition is longer than that.
        let outcome = meter.repeat(1_000_000_000, |repetition| match repetition {
            3 => Err(Failure::WrongAnswer("3".into())),
            _ => {
                std::thread::sleep(Duration::from_millis(21));
                Ok(1)
            }
        });
        assert_eq!(outcome, Err(Failure::WrongAnswer("3".into())));
        assert_eq!(meter.samples.len(), 2);
    }
}
