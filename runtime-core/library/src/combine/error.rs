//! Why a task that returns a `Result` yielded no value.

use std::error::Error;
use std::fmt;

use runtime_kernel::task::JoinError;

/// Why a task that returns a `Result` yielded no value: it returned an error, or it did not return.
#[derive(Debug)]
pub enum TaskError<E> {
    /// It returned this error.
    Failed(E),
    /// It panicked, was cancelled or could not be started.
    Ended(JoinError),
}

impl<E> TaskError<E> {
    /// The error that the task returned, if it returned one.
    pub fn failed(&self) -> Option<&E> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Ended(_) => None,
        }
    }

    /// True if the task panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self, Self::Ended(error) if error.is_panic())
    }
}

impl<E: fmt::Display> fmt::Display for TaskError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::Ended(error) => error.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for TaskError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed(error) => error.source(),
            Self::Ended(error) => error.source(),
        }
    }
}

impl<E> From<JoinError> for TaskError<E> {
    fn from(error: JoinError) -> Self {
        Self::Ended(error)
    }
}
