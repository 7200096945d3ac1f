#![doc = include_str!("README.md")]

mod kind;
mod stack;
mod stream;

pub use kind::SignalKind;
pub use stack::use_signal_stack;
pub use stream::{SignalStream, ctrl_c, signal};
