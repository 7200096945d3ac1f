#![doc = include_str!("README.md")]

mod builder;
mod fork_join;
mod handle;
pub mod idle;
mod launch;
mod metrics;
mod remote;
mod runtime;
mod shared;
pub mod worker;

pub use builder::Builder;
pub use fork_join::MnForkJoin;
pub use handle::Handle;
pub use launch::Mn;
pub use runtime::Runtime;
