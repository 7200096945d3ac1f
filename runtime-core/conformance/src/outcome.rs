//! What a handle reported, in a form that can be compared and printed.

use std::any::Any;

use super::probe::text_of;
use runtime_kernel::JoinError;

/// What a handle reported.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The task returned.
    Returned,
    /// The task was cancelled.
    Cancelled,
    /// The task panicked with this text.
    Panicked(String),
    /// Another error: this.
    Other(String),
}

impl Outcome {
    /// Classifies `result`; drops the value, if any.
    pub fn of<T>(result: Result<T, JoinError>) -> Self {
        match result {
            Ok(_) => Self::Returned,
            Err(error) if error.is_cancelled() => Self::Cancelled,
            Err(JoinError::Panicked(payload)) => Self::panicked(&*payload.into_inner()),
            Err(other) => Self::Other(other.to_string()),
        }
    }

    /// A panic with `payload`.
    pub fn panicked(payload: &(dyn Any + Send)) -> Self {
        Self::Panicked(text_of(payload).to_owned())
    }
}
