//! Blocking waits with a time limit, on a thread that runs no tasks.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::park::Parker;
use crate::primitives::now;
use crate::time::Elapsed;
use crate::{budget, context};

/// Polls `future` on the calling thread until it completes, for at most `limit`. Zero polls it once; a limit beyond
/// the clock's range means no limit.
///
/// Like [`block_on_current_thread`](crate::park::block_on_current_thread), it is for futures that other threads
/// complete: it drives neither timers nor sockets.
///
/// # Errors
/// [`Elapsed`] when the time is up; you can continue to poll the future.
///
/// # Panics
/// On a thread that runs tasks; `what` and `instead` are for the message.
pub fn wait_at_most<F: Future>(
    what: &str,
    instead: &str,
    limit: Duration,
    mut future: Pin<&mut F>,
) -> Result<F::Output, Elapsed> {
    context::assert_may_block(what, instead);
    let deadline = now().checked_add(limit);
    let parker = Parker::new();
    let waker = Waker::from(parker.unparker());
    let mut cx = Context::from_waker(&waker);
    // A blocking job runs inside a task's poll: nobody would renew its budget here.
    let _lifted = budget::lift();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return Ok(output);
        }
        if !parker.park(deadline) {
            // The future may have completed at the deadline: poll it once more.
            return match future.poll(&mut cx) {
                Poll::Ready(output) => Ok(output),
                Poll::Pending => Err(Elapsed),
            };
        }
    }
}
