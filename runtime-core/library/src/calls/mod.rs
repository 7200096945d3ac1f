//! Functions that are called soon, later, or repeatedly: asyncio's `call_soon`, `call_later` and `call_at`, and what
//! its users build with them.
//!
//! A call is a small task that waits for its time and calls the function. It therefore follows a task's contract: a
//! panic stays in it, a shutdown drops it, cancelling it is an abort, and you can schedule it from any thread
//! (asyncio needs `call_soon_threadsafe` for that). Under 1:1 it has its own thread, like every task there. A call
//! [inherits](crate::task_local::inherit) the caller's task-locals. It costs as much as a spawned task, and a later
//! call also a timer; cancelling takes constant time.
//!
//! The free functions use the ambient runtime. [`Calls`] has the same methods on the handle of any [`Runtime`], for
//! any thread.

mod every;
mod handle;

pub use every::{Every, every};
pub use handle::CallHandle;

use std::time::{Duration, Instant};

use crate::runtime::Runtime;
use crate::task_local::inherit;
use runtime_kernel::spawn::spawn;
use runtime_kernel::time::{self, sleep_until};

/// Calls `function` after the tasks that are ready now have had their turn. asyncio's `call_soon` and
/// `call_soon_threadsafe`.
///
/// Under N:1 calls are made in the order in which they were scheduled; under the other models they may overtake one
/// another.
///
/// ```
/// # fn main() {}
/// # async fn example() {
/// use runtime_core::calls::call_soon;
///
/// let call = call_soon(|| println!("called"));
/// call.await.unwrap(); // or leave it alone: a dropped handle cancels nothing
/// # }
/// ```
///
/// # Panics
/// Outside a runtime.
pub fn call_soon<F: FnOnce() + Send + 'static>(function: F) -> CallHandle {
    CallHandle::new(None, spawn(inherit(async move { function() })))
}

/// Calls `function` after `delay`, never earlier. A delay beyond the clock's range never ends. asyncio's
/// `call_later`.
///
/// # Panics
/// Outside a runtime.
pub fn call_later<F: FnOnce() + Send + 'static>(delay: Duration, function: F) -> CallHandle {
    match time::now().checked_add(delay) {
        Some(when) => call_at(when, function),
        None => CallHandle::new(None, spawn(never(function))),
    }
}

/// Calls `function` at `when`, never earlier; soon if that is past. asyncio's `call_at`.
///
/// # Panics
/// Outside a runtime.
pub fn call_at<F: FnOnce() + Send + 'static>(when: Instant, function: F) -> CallHandle {
    let call = inherit(async move {
        sleep_until(when).await;
        function();
    });
    CallHandle::new(Some(when), spawn(call))
}

/// Keeps `function` until the call is cancelled or the runtime ends.
async fn never<F>(function: F) {
    std::future::pending::<()>().await;
    drop(function);
}

/// The same calls on a handle to the runtime: from any thread, and for any [`Runtime`].
pub trait Calls: Runtime {
    /// See [`call_soon`].
    fn call_soon<F>(&self, function: F) -> CallHandle<Self::JoinHandle<()>>
    where
        F: FnOnce() + Send + 'static,
    {
        CallHandle::new(None, self.spawn(inherit(async move { function() })))
    }

    /// See [`call_later`].
    fn call_later<F>(&self, delay: Duration, function: F) -> CallHandle<Self::JoinHandle<()>>
    where
        F: FnOnce() + Send + 'static,
    {
        match self.now().checked_add(delay) {
            Some(when) => Calls::call_at(self, when, function),
            None => CallHandle::new(None, self.spawn(never(function))),
        }
    }

    /// See [`call_at`]. Uses the runtime's own clock, [`Runtime::now`], which is asyncio's `loop.time()`.
    fn call_at<F>(&self, when: Instant, function: F) -> CallHandle<Self::JoinHandle<()>>
    where
        F: FnOnce() + Send + 'static,
    {
        let runtime = self.clone();
        let call = inherit(async move {
            runtime.sleep_until(when).await;
            function();
        });
        CallHandle::new(Some(when), self.spawn(call))
    }
}

impl<R: Runtime> Calls for R {}
