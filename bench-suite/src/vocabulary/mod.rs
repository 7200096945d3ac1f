//! The vocabulary of this crate: workloads, the parameters of a run, and its failures.
//!
//! Code here starts or measures nothing, and imports nothing from the rest of the crate. The names are public through
//! [`registry`](crate::registry).

mod failure;
mod params;
mod workload;

pub use failure::Failure;
pub(crate) use failure::is_refusal;
pub use params::Params;
pub use workload::{Group, Mode, Parameter, Workload};
