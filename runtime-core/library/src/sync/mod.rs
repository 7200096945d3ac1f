#![doc = include_str!("README.md")]

mod barrier;
mod channel;
mod closed;
mod condition;
mod event;
mod mutex;
pub mod oneshot;
mod permits;
mod queue;
mod semaphore;
mod signal;
mod traced;
mod wait_queue;

pub use barrier::{Arrival, Barrier, BrokenBarrier, WaitAll};
pub use channel::{Receiver, Sender, channel};
pub use closed::{Closed, TryAcquireError};
pub use condition::{Condition, WaitNotified};
pub use event::{Event, WaitSet};
pub use mutex::{Lock, Mutex, MutexGuard, OwnedMutexGuard};
pub use queue::{
    Fifo, Get, Job, Join, Lifo, LifoQueue, OrderedQueue, PriorityQueue, Put, Queue, Smallest,
    Store, TryGetError, TryPutError,
};
pub use semaphore::{Acquire, OwnedPermit, Permit, Semaphore};
pub use signal::{Signal, Wait};

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod event_and_barrier_tests;
#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod lock_model_tests;
#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod lock_tests;
#[cfg(all(test, lab_loom))]
#[allow(unsafe_code)]
mod loom_lock_tests;
#[cfg(all(test, lab_loom))]
mod loom_overtaking_tests;
#[cfg(all(test, lab_loom))]
mod loom_tests;
#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod model_tests;
#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod overtaking_tests;
#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod polled;
#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod queue_tests;
#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests;
