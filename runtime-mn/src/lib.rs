#![doc = include_str!("README.md")]

mod ask;
mod batch_lane;
mod builder;
mod clocks;
mod closed;
mod counted;
mod deque;
mod fork_join;
mod handle;
pub mod idle;
mod knobs;
mod launch;
mod local;
mod metrics;
pub mod monitor;
mod own_threads;
pub mod policy;
mod queues;
mod remote;
mod runtime;
mod scheduler;
mod shared;
mod simulated;
mod sockets;
mod wake_throttling;
pub mod worker;

#[cfg(all(test, lab_shuttle))]
mod shuttle_tests;

pub use builder::Builder;
pub use fork_join::MnForkJoin;
pub use handle::Handle;
pub use launch::{Mn, MnWith};
pub use monitor::block_in_place;
pub use runtime::Runtime;
pub use runtime_core::{consume_budget, unconstrained};
