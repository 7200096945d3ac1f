//! Checks for schedulers, to be run by their authors.

pub mod alone;
pub mod files;
#[cfg(feature = "hyper")]
pub mod http;
pub mod net;
