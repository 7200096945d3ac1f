#![doc = include_str!("README.md")]

mod as_completed;
mod child_waker;
mod children;
mod error;
mod gather;
mod ready_list;
mod rule;
mod shield;
mod wait;
mod wait_for;

pub use as_completed::{AsCompleted, as_completed};
pub use error::TaskError;
pub use gather::{Gather, gather, gather_outcomes, join_all, try_gather, try_join_all};
pub use rule::{EveryOutcome, FirstError, FirstFailure, Rule};
pub use shield::{Shield, shield};
pub use wait::{Wait, Waited, wait};
pub use wait_for::wait_for;

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod cost_tests;
#[cfg(all(test, lab_loom))]
mod loom_tests;
#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod model_tests;
#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests;
