//! The methods of a task handle, for any runtime.

use std::future::Future;

use super::JoinError;

/// A handle to a spawned task. Dropping it detaches the task.
pub trait TaskHandle<T>: Future<Output = Result<T, JoinError>> + Send + Unpin + 'static {
    /// Cancels the task at its next suspension point; the handle then yields [`JoinError::Cancelled`].
    /// A task that finishes in the poll during which it was aborted yields its value.
    fn abort(&self);

    /// True if awaiting the handle would not wait.
    fn is_finished(&self) -> bool;
}
