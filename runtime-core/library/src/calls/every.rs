//! A job that runs repeatedly.

use std::convert::Infallible;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use crate::task_local::inherit;
use runtime_kernel::spawn::spawn;
use runtime_kernel::task::JoinHandle;
use runtime_kernel::time::{now, sleep, sleep_until};

/// A schedule that repeats every `period`, from now on. Pass the job to [`run`](Every::run) or
/// [`spawn`](Every::spawn).
///
/// * **No overlap**: a run that is due while the previous one is in progress is skipped, and the phase stays: runs
///   begin at multiples of the period from the start, however long they take. A job of 90 minutes that is scheduled
///   every hour begins every two hours.
/// * **Jitter**: each run can be delayed by a random time, so that many programs with the same schedule do not all
///   begin at once.
/// * **Cost**: one task and one timer, however often it runs. Fairness is a task's.
/// * **The end**: a schedule never ends by itself. Drop or abort it, or run it inside
///   [`run_until_cancelled`](crate::cancellation::CancellationToken::run_until_cancelled). A panic of the job ends
///   it.
///
/// ```
/// # fn main() {}
/// # async fn example() {
/// use std::time::Duration;
/// use runtime_core::calls::every;
///
/// let schedule = every(Duration::from_secs(60))
///     .jitter(Duration::from_secs(5))
///     .spawn(|| async { println!("another minute") });
/// // ... and in the end:
/// schedule.abort();
/// # }
/// ```
///
/// # Panics
/// If `period` is zero.
#[track_caller]
pub fn every(period: Duration) -> Every {
    assert!(
        !period.is_zero(),
        "the period of a schedule is zero: it would leave no time between two runs; call the job in a loop, with `yield_now`, instead"
    );
    Every {
        period,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        random: Random(RandomState::new().hash_one(period)),
    }
}

/// A schedule: see [`every`].
#[derive(Clone, Debug)]
#[must_use = "a schedule does nothing without a job: call `run` or `spawn`"]
pub struct Every {
    period: Duration,
    delay: Duration,
    jitter: Duration,
    random: Random,
}

impl Every {
    /// Begins the first period after `delay`, instead of at once.
    pub fn starting_in(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Delays each run by a random time of less than `most`. The delay counts from the run's scheduled time, so delays
    /// do not add up.
    pub fn jitter(mut self, most: Duration) -> Self {
        self.jitter = most;
        self
    }

    /// Draws the delays from `seed`, so that they are reproducible.
    pub fn seed(mut self, seed: u64) -> Self {
        self.random = Random(seed);
        self
    }

    /// Runs `job` at each time of the schedule, inside the awaiting task. Never completes.
    ///
    /// # Panics
    /// The future panics when it is polled outside a runtime, and with the job's panic.
    pub async fn run<F, R>(mut self, mut job: F) -> Infallible
    where
        F: FnMut() -> R,
        R: Future<Output = ()>,
    {
        let mut due = now().checked_add(self.delay);
        // A time beyond the clock's range never comes.
        while let Some(at) = due {
            sleep_until(at).await;
            if !self.jitter.is_zero() {
                sleep(self.random.below(self.jitter)).await;
            }
            job().await;
            due = following(at, now(), self.period);
        }
        std::future::pending().await
    }

    /// Like [`run`](Every::run), in its own task, which inherits the caller's [task-locals](crate::task_local).
    ///
    /// # Panics
    /// Outside a runtime.
    pub fn spawn<F, R>(self, job: F) -> JoinHandle<Infallible>
    where
        F: FnMut() -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        spawn(inherit(self.run(job)))
    }
}

/// When the next run is due, after the one that was due at `due` and ended by `now`: the first multiple of the period
/// that is not past. An [`Interval`](runtime_kernel::time::Interval) would return the missed tick at once, whatever it
/// does about the others.
fn following(due: Instant, now: Instant, period: Duration) -> Option<Instant> {
    let next = due.checked_add(period)?;
    let late = now.saturating_duration_since(next).as_nanos();
    match late % period.as_nanos() {
        0 => Some(next.max(now)),
        // The remainder is less than a period, so the period need not fit into 64 bits.
        past => now.checked_add(period - Duration::from_nanos_u128(past)),
    }
}

/// Numbers that look random: splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A time of less than `most`, which is not zero.
    fn below(&mut self, most: Duration) -> Duration {
        // 584 years are enough jitter.
        let most_ns = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        // The upper half of the product is the random number, scaled to the range.
        let scaled = (u128::from(self.next()) * u128::from(most_ns)) >> 64;
        Duration::from_nanos(scaled as u64)
    }
}

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn the_jitter_stays_in_its_range_and_fills_it() {
        for most in [
            Duration::from_nanos(1),
            Duration::from_millis(8),
            Duration::MAX,
        ] {
            let mut random = Random(7);
            let drawn: Vec<_> = (0..1000).map(|_| random.below(most)).collect();
            assert!(drawn.iter().all(|drawn| *drawn < most));
            let most = most.min(Duration::from_nanos(u64::MAX));
            let low = drawn.iter().filter(|drawn| **drawn < most / 2).count();
            assert!(most.as_nanos() < 2 || (400..600).contains(&low), "{low}");
        }
    }

    #[test]
    fn a_seed_repeats_the_draws() {
        let draws = |mut random: Random| [(); 4].map(|()| random.next());
        assert_eq!(draws(Random(3)), draws(Random(3)));
        assert_ne!(draws(Random(3)), draws(Random(4)));
    }

    #[test]
    fn the_next_run_is_the_first_that_is_not_past() {
        const PERIOD: Duration = Duration::from_nanos(100);
        let start = Instant::now();
        for (ended, next) in [
            (0, 100),
            (99, 100),
            (100, 100),
            (101, 200),
            (350, 400),
            (400, 400),
        ] {
            let [ended, next] = [ended, next].map(|ns| start + Duration::from_nanos(ns));
            assert_eq!(following(start, ended, PERIOD), Some(next));
        }
        let years = Duration::from_secs(1 << 40);
        assert_eq!(following(start, start, years), start.checked_add(years));
        assert_eq!(following(start, start, Duration::MAX), None);
    }

    #[test]
    #[should_panic(expected = "the period of a schedule is zero")]
    fn a_zero_period_panics() {
        let _ = every(Duration::ZERO);
    }
}
