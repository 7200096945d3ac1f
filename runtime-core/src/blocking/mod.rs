#![doc = include_str!("README.md")]

mod job;
mod pool;

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests;

pub use pool::{BlockingConfig, BlockingPool};
