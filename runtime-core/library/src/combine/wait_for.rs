//! A task with a time limit.

use std::time::Duration;

use crate::runtime::TaskHandle;
use runtime_kernel::task::JoinError;
use runtime_kernel::time::{Elapsed, timeout};

/// Awaits a task for at most `limit`, from the first poll. When that is over, it **aborts** the task and **awaits its
/// end**, so that nothing of it is left when the error is returned. asyncio's `wait_for`.
///
/// Dropped before it has completed, it aborts the task and cannot wait for it. To wait and abort nothing, use
/// [`timeout`] with `&mut handle`; to go on inside of a limit, [`shield`](super::shield). A future that is no task is
/// dropped by [`timeout`] itself.
///
/// Fairness: an outcome that is ready beats a limit that is over. Cost: a timer, and no allocation.
///
/// ```
/// # fn main() {}
/// # async fn example() {
/// use std::time::Duration;
/// use runtime_core::{combine::wait_for, spawn, time::Elapsed};
///
/// let task = spawn(std::future::pending::<()>());
/// assert!(matches!(wait_for(task, Duration::from_millis(5)).await, Err(Elapsed)));
/// # }
/// ```
///
/// # Errors
/// [`Elapsed`] if the task was cancelled because the limit was over. One that ends by itself all the same, in the poll
/// during which it was aborted or with a panic of a destructor, yields its outcome.
///
/// # Panics
/// The future panics when it has to wait and is polled outside of a runtime.
pub async fn wait_for<H, T>(handle: H, limit: Duration) -> Result<Result<T, JoinError>, Elapsed>
where
    H: TaskHandle<T>,
{
    let mut task = AbortOnDrop {
        handle,
        abort: H::abort,
        ended: false,
    };
    if let Ok(outcome) = timeout(limit, &mut task.handle).await {
        task.ended = true;
        return Ok(outcome);
    }
    task.handle.abort();
    let outcome = (&mut task.handle).await;
    task.ended = true;
    match outcome {
        Err(JoinError::Cancelled) => Err(Elapsed),
        outcome => Ok(outcome),
    }
}

/// A task that ends with whoever waits for it.
struct AbortOnDrop<H> {
    handle: H,
    abort: fn(&H),
    ended: bool,
}

impl<H> Drop for AbortOnDrop<H> {
    fn drop(&mut self) {
        if !self.ended {
            (self.abort)(&self.handle);
        }
    }
}
