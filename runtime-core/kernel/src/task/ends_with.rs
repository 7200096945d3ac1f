//! Lets a task end with an error that its output can't express.

use std::any::Any;
use std::panic::resume_unwind;

use super::error::JoinError;

/// The payload with which a poll ends its task with a specific error.
pub(super) struct EndsWith(JoinError);

impl EndsWith {
    /// The error of a task whose poll has panicked with `payload`.
    pub(super) fn unwrap(payload: Box<dyn Any + Send>) -> JoinError {
        match payload.downcast::<Self>() {
            Ok(ends) => ends.0,
            Err(payload) => JoinError::Panicked(payload.into()),
        }
    }
}

/// Ends the task that the calling thread polls with `error`. Only the task's own future may call it: code in between
/// that catches panics gets a payload.
///
/// # Panics
/// Always: this is how it ends the poll. It calls no panic hook.
pub fn end_current_with(error: JoinError) -> ! {
    resume_unwind(Box::new(EndsWith(error)))
}
