#![doc = include_str!("../../policy/src/README.md")]

pub(crate) mod asking;
mod guard;
pub(crate) mod surroundings;
pub(crate) mod view;

pub use runtime_policy::*;

/// The former name of [`IoSharing`].
#[deprecated(note = "use `IoSharing`")]
pub type SocketHelp = IoSharing;
