#![doc = include_str!("README.md")]

mod clock;
mod interval;
mod prefetch;
mod shard;
mod sleep;
mod timeout;
mod wheel;

pub(crate) use clock::any_simulated;
pub use clock::{Clock, Hold, Quiet, now, now_by};
pub use interval::{Interval, MissedTickBehavior, interval, interval_at};
pub use shard::TimerShard;
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Elapsed, Timeout, timeout, timeout_at};

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests;
#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod wheel_tests;
