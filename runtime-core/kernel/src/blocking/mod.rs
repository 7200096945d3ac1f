#![doc = include_str!("README.md")]

mod executor;
mod job;
mod job_context;
mod pool;
mod queue;
mod running;

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests;

pub use executor::{Executor, run_in_executor, set_default_executor, set_default_executor_of};
pub use job_context::JobContext;
pub use pool::{BlockingConfig, BlockingPool};
pub use running::{OnBehalf, RunsFor, is_in_job_of};
