//! What everything in this crate talks about: workloads, what a run is made with, and how it can fail.
//!
//! Nothing here starts or measures anything, and nothing here imports the rest of the crate. The names are public
//! through [`registry`](crate::registry).

mod failure;
mod params;
mod workload;

pub use failure::Failure;
pub(crate) use failure::is_refusal;
pub use params::Params;
pub use workload::{Group, Mode, Parameter, Workload};
