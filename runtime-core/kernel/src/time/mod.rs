#![doc = include_str!("README.md")]

mod clock;
mod elapsed;
mod helper;
mod interval;
mod now;
mod prefetch;
mod shard;
mod sleep;
mod timeout;
mod wheel;

pub(crate) use clock::any_simulated;
pub use clock::{Clock, Hold, Quiet, now_by};
pub use elapsed::Elapsed;
pub use helper::helper_shard;
pub use interval::{Interval, MissedTickBehavior, interval, interval_at};
pub use now::now;
pub use shard::TimerShard;
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Timeout, timeout, timeout_at};

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests;
#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod wheel_tests;
