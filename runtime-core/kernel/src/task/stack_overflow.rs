//! How a task says why it ends, where its output can't: its stack has overflowed, or there was none to begin with.

use std::any::Any;
use std::fmt;
use std::panic::resume_unwind;

use super::JoinError;

/// Whose stack has overflowed, and what gives it more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StackOverflow {
    /// The task's name, else the type of its function.
    pub task: Box<str>,
    /// How large its stack was.
    pub stack_bytes: usize,
    /// What to turn for more, as it is written in a program.
    pub knob: &'static str,
}

impl StackOverflow {
    /// The stack of that task, of so many bytes; `knob` gives more.
    pub fn new(task: impl Into<Box<str>>, stack_bytes: usize, knob: &'static str) -> Self {
        Self {
            task: task.into(),
            stack_bytes,
            knob,
        }
    }
}

impl fmt::Display for StackOverflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            task,
            stack_bytes,
            knob,
        } = self;
        write!(
            f,
            "the stack of the green task `{task}` has overflowed. It has {} KiB: give it more by {knob}, or put large \
             values into boxes",
            stack_bytes / 1024
        )
    }
}

/// The payload by which a poll ends its task with an error of its own.
pub(super) struct EndsWith(JoinError);

impl EndsWith {
    /// What a task ends with whose poll has panicked with `payload`.
    pub(super) fn unwrap(payload: Box<dyn Any + Send>) -> JoinError {
        match payload.downcast::<Self>() {
            Ok(ends) => ends.0,
            Err(payload) => JoinError::Panicked(payload.into()),
        }
    }
}

/// Ends the task that the calling thread polls with that error. To be called by the task's own future: whoever catches
/// panics in between gets a payload.
///
/// # Panics
/// That is how it ends the poll. No hook is called.
pub fn end_current_with(error: JoinError) -> ! {
    resume_unwind(Box::new(EndsWith(error)))
}
