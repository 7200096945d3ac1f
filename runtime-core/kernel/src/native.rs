//! What the handles of this project's own schedulers have in common: everything but scheduling.
//!
//! A scheduler's handle says how a task is started and what its [`Ambient`] is. The library's `Runtime` follows from
//! that. A scheduler with its own sockets, timers or channels implements `Runtime` directly.

use std::future::Future;
use std::sync::Arc;

use crate::capabilities::Capabilities;
use crate::context::Ambient;
use crate::metrics::Metrics;
use crate::spawn::spawn_on;
use crate::task::{Attributes, JoinHandle};
use crate::task_list::LiveTask;

/// A handle to a scheduler that uses this crate's tasks, sockets, timers and channels.
pub trait Native: Clone + Send + Sync + 'static {
    /// This scheduler's name in the lab's tables.
    const NAME: &'static str;

    /// The runtime, as seen by the code on its threads.
    fn ambient(&self) -> &Arc<dyn Ambient>;

    /// What the scheduler can and cannot do.
    fn capabilities(&self) -> Capabilities;

    /// The scheduler's counters.
    fn metrics(&self) -> Metrics;

    /// The tasks that have not ended; `None` if it does not list them.
    fn live_tasks(&self) -> Option<Vec<LiveTask>> {
        None
    }

    /// Starts a task. It runs whether or not anybody awaits its handle.
    #[track_caller]
    fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        spawn_on(&**self.ambient(), future)
    }

    /// See `Runtime::spawn_with`. A scheduler that uses attributes passes them to
    /// [`bind_with`](crate::task::bind_with).
    #[track_caller]
    fn spawn_with<F>(&self, attributes: Attributes, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let _ = attributes;
        Native::spawn(self, future)
    }
}
