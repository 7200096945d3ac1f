#![doc = include_str!("README.md")]

mod call;
mod child;
mod event_loop;
mod functions;
mod pool;
mod supervisor;
mod wire;
mod worker;

pub use call::{Call, CallError};
pub use event_loop::{EventLoop, LocalFuture};
pub use functions::{Functions, init_on};
pub use pool::{Builder, ProcessPool};
