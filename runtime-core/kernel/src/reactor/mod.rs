#![doc = include_str!("README.md")]

mod backend;
mod driver;
#[cfg(target_os = "linux")]
#[cfg_attr(lab_shuttle, path = "mock_sockets.rs")]
mod epoll;
#[cfg(all(target_os = "linux", not(lab_shuttle)))]
mod epoll_wait;
mod kind;
mod late;
pub mod own_thread;
mod polled;
mod portable;
mod readiness;
mod registered;
mod registration;
mod slab;
mod source;
mod timespec;
mod token;
mod turns;
mod waiters;
mod waiting;

pub use backend::Reactor;
pub use driver::IoDriver;
pub use kind::{ReactorKind, UnknownReactorKind};
pub use polled::Polled;
pub use readiness::{Direction, ReadyEvent};
pub use registration::{Initially, Registration};
pub use waiting::{Io, Ready};

#[cfg(all(test, not(lab_loom), not(lab_shuttle)))]
mod tests;
