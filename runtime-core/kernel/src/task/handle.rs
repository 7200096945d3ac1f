//! What a task handle of any runtime can do.

use std::future::Future;

use super::JoinError;

/// A spawned task, as its spawner sees it. Dropping it detaches the task.
pub trait TaskHandle<T>: Future<Output = Result<T, JoinError>> + Send + Unpin + 'static {
    /// Cancels the task at its next suspension point; the handle then yields [`JoinError::Cancelled`].
    /// A task that finishes in the poll during which it was aborted yields its value.
    fn abort(&self);

    /// True when awaiting the handle would not wait.
    fn is_finished(&self) -> bool;
}
