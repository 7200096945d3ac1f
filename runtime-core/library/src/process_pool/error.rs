//! Why a call yielded no result.

use std::error::Error;
use std::fmt;
use std::process::ExitStatus;

/// What the supervisor's promise yields: the result's bytes.
pub(super) type Answer = Result<Vec<u8>, CallError>;

/// Why a call yielded no result.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallError {
    /// The function panicked, with this message. Its process lives on.
    Panicked(String),
    /// The process that ran it has died: it was killed, or it ended itself.
    ProcessDied {
        /// Its process id, as [`ProcessPool::ids`](super::ProcessPool::ids) returned it.
        process: u32,
        /// How it ended, if known.
        status: Option<ExitStatus>,
    },
    /// No process could be started; with the reason.
    StartFailed(String),
    /// The argument or the result could not be encoded or decoded; with the reason.
    Codec(String),
    /// The pool was dropped or closed before there was an answer.
    Closed,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(message) => write!(f, "the function panicked: {message}"),
            Self::ProcessDied { process, status } => {
                write!(f, "process {process}, which ran the call, has died")?;
                match status {
                    Some(status) => write!(f, ": {status}"),
                    None => Ok(()),
                }
            }
            Self::StartFailed(why) => write!(f, "no process of the pool could be started: {why}"),
            Self::Codec(why) => write!(f, "the argument or the result could not be sent: {why}"),
            Self::Closed => f.write_str("the process pool was closed"),
        }
    }
}

impl Error for CallError {}
