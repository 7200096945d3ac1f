//! placeholder
pub(crate) mod wake_batch;
