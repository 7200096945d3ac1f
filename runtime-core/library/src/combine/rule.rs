//! How a [`Gather`](super::Gather) combines its children's outputs.

use std::marker::PhantomData;
use std::ops::ControlFlow;

use super::error::TaskError;
use runtime_kernel::task::JoinError;

/// How a [`Gather`](super::Gather) combines outputs of type `O`. The rules are [`EveryOutcome`], [`FirstError`] and
/// [`FirstFailure`].
pub trait Rule<O>: sealed::Sealed {
    /// What is kept of an output.
    type Value;
    /// The result for all outputs.
    type Output;

    #[doc(hidden)]
    fn judge(output: O) -> ControlFlow<Self::Output, Self::Value>;

    #[doc(hidden)]
    fn all(values: Vec<Self::Value>) -> Self::Output;
}

mod sealed {
    pub trait Sealed {}
}

/// All outputs, whatever they are: `Vec<O>`.
#[derive(Debug)]
pub struct EveryOutcome(PhantomData<()>);

/// All values, or the first error: `Result<Vec<T>, E>` of `Result<T, E>`.
#[derive(Debug)]
pub struct FirstError(PhantomData<()>);

/// All values, or the first error of tasks that return a `Result` themselves: `Result<Vec<T>, TaskError<E>>`.
#[derive(Debug)]
pub struct FirstFailure(PhantomData<()>);

impl sealed::Sealed for EveryOutcome {}
impl sealed::Sealed for FirstError {}
impl sealed::Sealed for FirstFailure {}

impl<O> Rule<O> for EveryOutcome {
    type Value = O;
    type Output = Vec<O>;

    fn judge(output: O) -> ControlFlow<Vec<O>, O> {
        ControlFlow::Continue(output)
    }
    fn all(values: Vec<O>) -> Vec<O> {
        values
    }
}

impl<T, E> Rule<Result<T, E>> for FirstError {
    type Value = T;
    type Output = Result<Vec<T>, E>;

    fn judge(output: Result<T, E>) -> ControlFlow<Result<Vec<T>, E>, T> {
        match output {
            Ok(value) => ControlFlow::Continue(value),
            Err(error) => ControlFlow::Break(Err(error)),
        }
    }
    fn all(values: Vec<T>) -> Result<Vec<T>, E> {
        Ok(values)
    }
}

impl<T, E> Rule<Result<Result<T, E>, JoinError>> for FirstFailure {
    type Value = T;
    type Output = Result<Vec<T>, TaskError<E>>;

    fn judge(output: Result<Result<T, E>, JoinError>) -> ControlFlow<Self::Output, T> {
        match output {
            Ok(Ok(value)) => ControlFlow::Continue(value),
            Ok(Err(error)) => ControlFlow::Break(Err(TaskError::Failed(error))),
            Err(error) => ControlFlow::Break(Err(TaskError::Ended(error))),
        }
    }
    fn all(values: Vec<T>) -> Self::Output {
        Ok(values)
    }
}
