//! The one wait queue under all types of this module: a lock over some state, and those who wait for that state to
//! change.
//!
//! See the module's README for the protocol. All unsafe code of `sync` that concerns waiting is in this folder; a new
//! type on top of it implements [`Resource`], a handful of safe lines.

mod line;
// Elsewhere it is a lock of the platform's; under a model checker a lock that it knows, but in the test of this one
// itself.
#[cfg(all(
    target_os = "linux",
    any(not(any(lab_loom, lab_shuttle)), all(test, lab_loom))
))]
mod lock;
mod overtaking;
mod requeue;
mod turn_came;
mod waiter;

pub(super) use line::{Line, Status};
pub(super) use overtaking::waits_as_thread;
pub(super) use requeue::{OtherQueue, RequeueList, Requeued};
pub(super) use waiter::{Locked, Resource, Serving, WaitQueue, Waiter};
