//! How sockets wait: the interface between a scheduler and its sockets.

use std::sync::Arc;

use super::backend::Reactor;

/// How sockets wait.
#[derive(Clone)]
pub enum IoDriver {
    /// Registered once, edge-triggered, with a reactor that the scheduler polls (N:1, M:N).
    Reactor(Arc<Reactor>),
    /// The task's own thread waits in `poll(2)` (1:1).
    OwnThread,
}
