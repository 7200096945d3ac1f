#![doc = include_str!("README.md")]

#[cfg(feature = "counters")]
mod counters;
#[cfg(feature = "cpu-pool")]
mod cpu_pool;
#[cfg(feature = "fork-join")]
pub mod fork_join;
#[cfg(feature = "histograms")]
mod histograms;
#[cfg(feature = "io-sharing")]
mod io_sharing;
pub(crate) mod list;
#[cfg(feature = "monitor")]
pub mod monitor;
pub(crate) mod part;
#[cfg(feature = "pinned-tasks")]
mod pinned_tasks;
#[cfg(feature = "policy-queues")]
mod policy_queues;
#[cfg(feature = "simulated-time")]
mod simulated_time;
#[cfg(feature = "trace")]
mod trace;
#[cfg(feature = "wake-throttling")]
mod wake_throttling;

#[cfg(feature = "fork-join")]
pub use fork_join::handle::MnForkJoin;
#[cfg(feature = "monitor")]
pub use monitor::{StuckPoll, block_in_place::block_in_place};
