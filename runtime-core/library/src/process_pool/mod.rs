#![doc = include_str!("README.md")]

mod call;
mod calls;
mod child;
mod error;
mod event_loop;
mod functions;
mod inbox;
mod init;
mod pool;
mod supervisor;
mod wire;
mod worker;

pub use call::Call;
pub use error::CallError;
pub use event_loop::{EventLoop, LocalFuture};
pub use functions::Functions;
pub use init::init_on;
pub use pool::{Builder, ProcessPool};
