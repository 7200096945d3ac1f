//! A future with a time limit.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;

use super::{Sleep, clock, sleep_until};
use crate::budget;

/// The time of a [`timeout`] was over before its future completed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time limit was reached before the operation completed")
    }
}

impl Error for Elapsed {}

impl From<Elapsed> for std::io::Error {
    fn from(elapsed: Elapsed) -> Self {
        std::io::Error::new(std::io::ErrorKind::TimedOut, elapsed)
    }
}

pin_project! {
    /// The future of [`timeout`] and [`timeout_at`]. It is as cancel safe as the future inside.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        #[pin]
        sleep: Sleep,
    }
}

/// Awaits `future` for at most `duration`. A result that is ready beats a deadline that is due: the future is polled
/// first, also with a limit of zero. asyncio's `async with timeout(seconds)`, and its `wait_for` of a coroutine.
///
/// What ends with the time is the future alone. Over a [`JoinHandle`](crate::JoinHandle) that is the waiting, and the
/// task goes on; `wait_for`) aborts the task, too.
///
/// Cost: a look at the clock, and a [`Sleep`] beside the future if that has to wait. No allocation.
///
/// ```no_run
/// # async fn example() -> Result<(), runtime_core::time::Elapsed> {
/// use std::time::Duration;
/// use runtime_core::time::{sleep, timeout};
///
/// timeout(Duration::from_secs(5), sleep(Duration::from_millis(1))).await
/// # }
/// ```
///
/// # Errors
/// [`Elapsed`] when the time is over first. `future` is dropped with the [`Timeout`], not before.
///
/// # Panics
/// The returned future panics if it is polled outside of a runtime and has to wait.
pub fn timeout<F: Future>(duration: Duration, future: F) -> Timeout<F> {
    Timeout::after(clock::now(), duration, future)
}

/// Awaits `future` until `deadline` at most; see [`timeout()`]. asyncio's `timeout_at`.
///
/// # Errors
/// [`Elapsed`] when the deadline is reached first.
///
/// # Panics
/// The returned future panics if it is polled outside of a runtime and has to wait.
pub fn timeout_at<F: Future>(deadline: Instant, future: F) -> Timeout<F> {
    Timeout {
        future,
        sleep: sleep_until(deadline),
    }
}

impl<F> Timeout<F> {
    /// `future` for at most `duration` from `now` on.
    pub fn after(now: Instant, duration: Duration, future: F) -> Self {
        Self {
            future,
            sleep: Sleep::after(now, duration),
        }
    }

    /// The future inside.
    pub fn get_ref(&self) -> &F {
        &self.future
    }

    /// The future inside; it may be polled further after an [`Elapsed`].
    pub fn get_pin_mut(self: Pin<&mut Self>) -> Pin<&mut F> {
        self.project().future
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // With no budget left the future could not even look for its result: it is asked on a full one, and then the
        // clock is. (One that uses up its budget itself, poll after poll, is ended by the deadline all the same.)
        let begun = ready!(budget::poll_begin(cx));
        let outcome = match this.future.poll(cx) {
            Poll::Ready(output) => Ok(output),
            Poll::Pending => {
                ready!(this.sleep.poll_elapsed(cx));
                Err(Elapsed)
            }
        };
        // An expired limit spends, too: else a loop over it never returned.
        begun.completed();
        Poll::Ready(outcome)
    }
}
