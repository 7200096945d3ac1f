//! The wait queue under all types of this module: a lock around some state, and the waiters for changes of that state.
//!
//! See the module's README for the protocol. All unsafe code of `sync` that concerns waiting is in this folder. A new
//! type on top of it implements [`Resource`], in a few lines of safe code.

mod waiter_list;
// On other systems it is the platform's lock. Under a model checker it is a lock that the checker knows, except in the
// test of this lock itself.
#[cfg(all(
    target_os = "linux",
    any(not(any(lab_loom, lab_shuttle)), all(test, lab_loom))
))]
mod lock;
mod overtaking;
mod requeue;
mod turn_came;
mod waiter;

pub(super) use overtaking::waits_as_thread;
pub(super) use requeue::{OtherQueue, RequeueList, Requeued};
pub(super) use waiter::{Locked, Resource, Serving, WaitQueue, Waiter};
pub(super) use waiter_list::{Status, WaiterList};
