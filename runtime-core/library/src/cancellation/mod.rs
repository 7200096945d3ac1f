#![doc = include_str!("README.md")]

mod node;
mod token;

pub use token::{CancellationToken, Cancelled, DropGuard};

#[cfg(all(test, lab_loom))]
mod loom_tests;
#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests;
