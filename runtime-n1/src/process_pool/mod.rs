#![doc = include_str!("README.md")]

mod call;
mod child;
mod functions;
mod pool;
mod supervisor;
mod wire;
mod worker;

pub use call::{Call, CallError};
pub use functions::{Functions, init};
pub use pool::{Builder, ProcessPool};
