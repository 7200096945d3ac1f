#![doc = include_str!("README.md")]
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod by_rank;
mod decision;
pub mod fake;
mod knobs;
mod policy;
mod topology;
mod view;

mod deadline;
mod global_queue;
mod go_like;
mod locality;
mod no_steal;
mod priority;
mod random_steal;
mod shed;
mod tokio_like;

#[cfg(test)]
mod tests;

pub use decision::{Attempt, Place, Source, WokenBy};
pub use knobs::{IoSharing, Knobs, LifoSlot, Steal};
pub use policy::Policy;
pub use topology::{Cpu, Distance, Topology};
pub use view::{
    Numbers, STATE_SLOTS, SearchView, SleeperNumbers, SleeperView, TaskView, WorkerView,
};

pub use deadline::Deadline;
pub use global_queue::GlobalQueue;
pub use go_like::GoLike;
pub use locality::Locality;
pub use no_steal::NoSteal;
pub use priority::Priority;
pub use random_steal::RandomSteal;
pub use shed::Shed;
pub use tokio_like::TokioLike;
