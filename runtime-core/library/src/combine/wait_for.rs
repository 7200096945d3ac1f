//! A task with a time limit.

use std::time::Duration;

use crate::runtime::TaskHandle;
use runtime_kernel::task::JoinError;
use runtime_kernel::time::{Elapsed, timeout};

/// Awaits a task for at most `limit`, from the first poll. When the time is up, it **aborts** the task and **awaits
/// its end**, so that nothing of the task is left when the error is returned. asyncio's `wait_for`.
///
/// If it is dropped before it has completed, it aborts the task but can't wait for it. To wait without aborting, use
/// [`timeout`] with `&mut handle`; to let the task continue, use [`shield`](super::shield). For a future that is not
/// a task, use [`timeout`], which drops it.
///
/// Fairness: an outcome that is ready takes precedence over an expired limit. Cost: a timer, and no allocation.
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
/// [`Elapsed`] if the task was cancelled because the time was up. If the task still ends by itself, in the poll
/// during which it was aborted or with a panic of a destructor, it yields its outcome.
///
/// # Panics
/// The future panics when it has to wait and is polled outside a runtime.
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

/// A task that is aborted when its waiter is dropped.
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
