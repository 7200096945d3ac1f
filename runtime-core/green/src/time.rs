//! Time, for blocking-style code.

use std::future::Future;
use std::time::Duration;

use runtime_kernel::time::Elapsed;

use crate::wait;

/// Suspends the green task until `duration` has passed, never less. Other tasks run meanwhile.
///
/// # Panics
/// Where [`wait()`] does.
#[inline(always)]
pub fn sleep(duration: Duration) {
    wait(runtime_kernel::sleep(duration));
}

/// Lets the other tasks that are ready run first.
///
/// # Panics
/// Where [`wait()`] does.
#[inline(always)]
pub fn yield_now() {
    wait(runtime_kernel::yield_now());
}

/// Waits for `future`, for at most `duration`. If both the future and the deadline are due, the result wins.
///
/// To limit a function that waits in several places, start it as a task and limit its handle:
/// `timeout(duration, green::spawn(..))`; then abort the task.
///
/// # Errors
/// [`Elapsed`] if the time is over first; then `future` is dropped.
///
/// # Panics
/// Where [`wait()`] does.
#[inline(always)]
pub fn timeout<F: Future>(duration: Duration, future: F) -> Result<F::Output, Elapsed> {
    wait(runtime_kernel::timeout(duration, future))
}
