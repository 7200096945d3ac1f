#![doc = include_str!("../../policy/src/README.md")]

pub(crate) mod asking;
pub(crate) mod view;

pub use runtime_policy::*;

/// The former name of [`IoSharing`].
#[deprecated(note = "use `IoSharing`")]
pub type SocketHelp = IoSharing;
