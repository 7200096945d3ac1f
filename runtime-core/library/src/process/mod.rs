#![doc = include_str!("README.md")]

mod child;
mod command;
mod exit;
mod pipes;
mod reaper;
mod sigchld;

pub use child::Child;
pub use command::Command;
pub use pipes::{ChildStderr, ChildStdin, ChildStdout};
pub use sigchld::keep_ended_children;
pub use std::process::{ExitStatus, Output, Stdio};
