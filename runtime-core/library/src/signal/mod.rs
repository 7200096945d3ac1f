#![doc = include_str!("README.md")]

mod kind;
mod stream;

pub use kind::SignalKind;
pub use stream::{SignalStream, ctrl_c, signal};
