//! All errors of a scope.

use std::error::Error;
use std::fmt;

use crate::combine::TaskError;

/// All errors of a scope, in order of occurrence. The first one caused the others to be cancelled. asyncio's
/// `ExceptionGroup`.
#[derive(Debug)]
pub struct ScopeError<E> {
    /// Never empty.
    errors: Vec<TaskError<E>>,
}

impl<E> ScopeError<E> {
    pub(super) fn new(errors: Vec<TaskError<E>>) -> Option<Self> {
        (!errors.is_empty()).then_some(Self { errors })
    }

    /// The first error.
    pub fn first(&self) -> &TaskError<E> {
        &self.errors[0]
    }

    /// All errors.
    pub fn errors(&self) -> &[TaskError<E>] {
        &self.errors
    }

    /// All errors, by value.
    pub fn into_errors(self) -> Vec<TaskError<E>> {
        self.errors
    }
}

impl<E: fmt::Display> fmt::Display for ScopeError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.errors.len() {
            1 => write!(f, "a task of the scope failed: {}", self.first()),
            count => write!(
                f,
                "{count} tasks of the scope failed, first: {}",
                self.first()
            ),
        }
    }
}

impl<E: Error + 'static> Error for ScopeError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.first())
    }
}
