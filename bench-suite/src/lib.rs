//! Workloads, peers, and the instrument that measures and compares runtimes.

pub mod measure;
pub mod registry;
