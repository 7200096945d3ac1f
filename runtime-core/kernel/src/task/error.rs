//! Why a task yielded no value.

use std::any::Any;
use std::fmt;
use std::io;

use super::payload::PanicPayload;
use super::stack_overflow::StackOverflow;

/// Why a task yielded no value.
#[non_exhaustive]
pub enum JoinError {
    /// It was aborted, or its runtime shut down.
    Cancelled,
    /// It panicked, in a poll or in a destructor. Has the panic's payload.
    Panicked(PanicPayload),
    /// The system refused a thread (1:1, and the blocking pool's first thread), or a stack (a green task).
    SpawnFailed(io::Error),
    /// The stack of the green task overflowed. The values on it were not dropped.
    StackOverflow(StackOverflow),
}

impl JoinError {
    /// True if the task was aborted or its runtime shut down.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled)
    }

    /// True if the task panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self, Self::Panicked(_))
    }

    /// The payload of the panic, which you can pass on with [`std::panic::resume_unwind`].
    ///
    /// # Errors
    /// Returns `self` if the task did not panic.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send + 'static>, Self> {
        match self {
            Self::Panicked(payload) => Ok(payload.into_inner()),
            other => Err(other),
        }
    }

    /// The payload of the panic.
    ///
    /// # Panics
    /// If the task did not panic.
    pub fn into_panic(self) -> Box<dyn Any + Send + 'static> {
        self.try_into_panic()
            .unwrap_or_else(|other| panic!("`into_panic` on a task that did not panic: {other}"))
    }

    /// The panic's message, if it has one.
    pub fn panic_message(&self) -> Option<&str> {
        match self {
            Self::Panicked(payload) => payload.message(),
            _ => None,
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("Cancelled"),
            Self::Panicked(payload) => f.debug_tuple("Panicked").field(payload).finish(),
            Self::SpawnFailed(error) => f.debug_tuple("SpawnFailed").field(error).finish(),
            Self::StackOverflow(overflow) => fmt::Debug::fmt(overflow, f),
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("the task was cancelled"),
            Self::Panicked(_) => match self.panic_message() {
                Some(message) => write!(f, "the task panicked: {message}"),
                None => f.write_str("the task panicked"),
            },
            Self::SpawnFailed(error) => write!(f, "the task could not be started: {error}"),
            Self::StackOverflow(overflow) => fmt::Display::fmt(overflow, f),
        }
    }
}

impl std::error::Error for JoinError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::SpawnFailed(error) => Some(error),
            _ => None,
        }
    }
}

impl From<JoinError> for io::Error {
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::SpawnFailed(error) => error,
            other => io::Error::other(other),
        }
    }
}
