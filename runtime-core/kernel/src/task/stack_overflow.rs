//! The error of a green task whose stack has overflowed.

use std::fmt;

/// Which stack has overflowed, and how to enlarge it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StackOverflow {
    /// The task's name, or else the type of its function.
    pub task: Box<str>,
    /// The size of its stack.
    pub stack_bytes: usize,
    /// The option that gives it more, as you write it in a program.
    pub knob: &'static str,
}

impl StackOverflow {
    /// The stack of that task, of `stack_bytes`; `knob` enlarges it.
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
