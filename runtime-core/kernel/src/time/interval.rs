//! Ticks at a fixed period.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use super::now::now;
use super::shard::{self, NEVER};
use super::{Sleep, sleep_until};
use crate::budget;

/// What an [`Interval`] does about missed ticks: a tick was taken so late that the next one is already due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MissedTickBehavior {
    /// Makes up for all of them without a pause, which keeps the number of ticks right. The default.
    #[default]
    Burst,
    /// Restarts from the late tick: two ticks are never closer than a period.
    Delay,
    /// Skips them and continues with the next multiple of the period, which keeps the phase right.
    Skip,
}

/// Ticks at a fixed period; created by [`interval`] and [`interval_at`].
#[derive(Debug)]
pub struct Interval {
    period: Duration,
    /// When the next tick is due, in nanoseconds since the epoch of the timers.
    next: u64,
    missed: MissedTickBehavior,
    sleep: Pin<Box<Sleep>>,
}

/// Ticks now and then every `period`. asyncio has no counterpart: a loop around `sleep` drifts. To call a function
/// repeatedly, see `every`.
///
/// Cancel safe: a dropped [`tick`](Interval::tick) loses no tick. Cost: one allocation for all ticks; each tick costs
/// as much as a [`Sleep`].
///
/// ```no_run
/// # async fn example() {
/// use std::time::Duration;
/// let mut interval = runtime_core::time::interval(Duration::from_secs(1));
/// loop {
///     interval.tick().await;
///     println!("another second");
///     # break;
/// }
/// # }
/// ```
///
/// # Panics
/// If `period` is zero.
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    interval_at(now(), period)
}

/// Ticks at `start` and then every `period`.
///
/// # Panics
/// If `period` is zero.
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    assert!(
        !period.is_zero(),
        "the period of an interval is zero: it would tick without end at one instant; use `yield_now` in a loop for that"
    );
    Interval {
        period,
        next: shard::nanoseconds(start),
        missed: MissedTickBehavior::default(),
        sleep: Box::pin(sleep_until(start)),
    }
}

impl Interval {
    /// Waits for the next tick and returns the instant at which it was due, which is not after now.
    ///
    /// Cancel safe: a tick that was not returned is not lost.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// [`tick`](Interval::tick) as a poll.
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        let spent = ready!(budget::poll_proceed(cx));
        ready!(self.sleep.as_mut().poll_elapsed(cx));
        spent.made_progress();
        let now = now();
        let due = shard::instant(self.next).unwrap_or(now);
        self.set_next(following(
            self.next,
            shard::nanoseconds(now),
            self.period,
            self.missed,
        ));
        Poll::Ready(due)
    }

    /// The time from one tick to the next.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// What it does about missed ticks.
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.missed
    }

    /// Changes what it does about missed ticks, from the next [`tick`](Interval::tick) on.
    pub fn set_missed_tick_behavior(&mut self, behavior: MissedTickBehavior) {
        self.missed = behavior;
    }

    /// Makes the next tick due one period from now.
    pub fn reset(&mut self) {
        let now = shard::nanoseconds(now());
        self.set_next(after(now, self.period));
    }

    fn set_next(&mut self, next: u64) {
        self.next = next;
        self.sleep.as_mut().reset_to(next);
    }
}

fn after(time: u64, period: Duration) -> u64 {
    time.saturating_add(u64::try_from(period.as_nanos()).unwrap_or(NEVER))
}

/// The time of the tick after the one that was due at `due` and taken at `now`; all in nanoseconds.
fn following(due: u64, now: u64, period: Duration, missed: MissedTickBehavior) -> u64 {
    let next = after(due, period);
    if next > now {
        return next;
    }
    match missed {
        MissedTickBehavior::Burst => next,
        MissedTickBehavior::Delay => after(now, period),
        MissedTickBehavior::Skip => {
            // `next <= now`, so the period fits into 64 bits; it is not zero.
            let period_ns = next - due;
            let past = (now - due) / period_ns * period_ns;
            due.saturating_add(past).saturating_add(period_ns)
        }
    }
}

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests {
    use super::MissedTickBehavior::{Burst, Delay, Skip};
    use super::*;

    const PERIOD: Duration = Duration::from_nanos(100);

    #[test]
    fn a_tick_in_time_is_followed_by_the_next_multiple() {
        for behavior in [Burst, Delay, Skip] {
            for now in [1000, 1001, 1099] {
                assert_eq!(following(1000, now, PERIOD, behavior), 1100, "{behavior:?}");
            }
        }
    }

    #[test]
    fn missed_ticks_are_made_up_for_delayed_or_skipped() {
        assert_eq!(following(1000, 1350, PERIOD, Burst), 1100);
        assert_eq!(following(1000, 1350, PERIOD, Delay), 1450);
        assert_eq!(following(1000, 1350, PERIOD, Skip), 1400);
        assert_eq!(following(1000, 1400, PERIOD, Skip), 1500);
    }

    #[test]
    fn a_huge_period_saturates_to_never() {
        for behavior in [Burst, Delay, Skip] {
            assert_eq!(following(1000, 5000, Duration::MAX, behavior), NEVER);
        }
    }

    #[test]
    #[should_panic(expected = "the period of an interval is zero")]
    fn a_zero_period_panics() {
        let _ = interval(Duration::ZERO);
    }
}
