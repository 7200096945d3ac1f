//! A future with a time limit.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;

use super::elapsed::Elapsed;
use super::now::now;
use super::sleep::{Sleep, sleep_until};
use crate::budget;

pin_project! {
    /// The future of [`timeout`] and [`timeout_at`]. It is as cancel safe as the inner future.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        #[pin]
        sleep: Sleep,
    }
}

/// Awaits `future` for at most `duration`. A result that is ready takes precedence over a deadline that is due: the
/// future is polled first, even with a limit of zero. asyncio's `async with timeout(seconds)`, and its `wait_for` on a
/// coroutine.
///
/// The limit ends only the future. With a [`JoinHandle`](crate::JoinHandle), that ends the wait but not the task;
/// `wait_for` also aborts the task.
///
/// Cost: a clock reading, and a [`Sleep`] next to the future if that has to wait. No allocation.
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
/// [`Elapsed`] if the time is up first. The [`Timeout`] keeps `future` until you drop it.
///
/// # Panics
/// The returned future panics if it is polled outside a runtime and has to wait.
pub fn timeout<F: Future>(duration: Duration, future: F) -> Timeout<F> {
    Timeout::after(now(), duration, future)
}

/// Awaits `future` until `deadline` at most; see [`timeout()`]. asyncio's `timeout_at`.
///
/// # Errors
/// [`Elapsed`] when the deadline is reached first.
///
/// # Panics
/// The returned future panics if it is polled outside a runtime and has to wait.
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

    /// The inner future.
    pub fn get_ref(&self) -> &F {
        &self.future
    }

    /// The inner future. You may continue to poll it after an [`Elapsed`].
    pub fn get_pin_mut(self: Pin<&mut Self>) -> Pin<&mut F> {
        self.project().future
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // Without budget the future could not even check for its result. It is therefore polled with some budget, and
        // then the clock is checked. (The deadline also ends a future that itself uses up its budget in every poll.)
        let begun = ready!(budget::poll_begin(cx));
        let outcome = match this.future.poll(cx) {
            Poll::Ready(output) => Ok(output),
            Poll::Pending => {
                ready!(this.sleep.poll_elapsed(cx));
                Err(Elapsed)
            }
        };
        // An expired limit also spends; otherwise a loop over it would never return.
        begun.completed();
        Poll::Ready(outcome)
    }
}
