#![doc = include_str!("README.md")]

mod backend;
mod driver;
#[cfg(target_os = "linux")]
#[cfg_attr(lab_shuttle, path = "without_sockets.rs")]
mod epoll;
#[cfg(all(target_os = "linux", not(lab_shuttle)))]
mod epoll_wait;
mod kind;
pub mod own_thread;
mod polled;
mod portable;
mod readiness;
mod registered;
mod registration;
mod slab;
mod source;
mod timespec;
mod waiters;

pub use backend::Reactor;
pub use driver::IoDriver;
pub use kind::{ReactorKind, UnknownReactorKind};
pub use polled::Polled;
pub use readiness::{Direction, ReadyEvent};
pub use registration::{Initially, Io, Ready, Registration};

#[cfg(all(test, not(lab_loom), not(lab_shuttle)))]
mod tests;
