#![doc = include_str!("README.md")]

mod builder;
pub mod event_loop;
mod handle;
mod launch;
mod local;
#[cfg(feature = "process-pool")]
pub mod process_pool;
mod schedule;
mod shared;
mod simulated;
mod sleep;
mod slow_polls;

pub use builder::Builder;
pub use event_loop::{Loop, spawn_local};
pub use handle::Handle;
pub use launch::N1;
pub use runtime_kernel::{consume_budget, unconstrained};
pub use slow_polls::SlowPoll;
