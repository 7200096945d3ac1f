#![doc = include_str!("README.md")]

mod channel;
pub mod oneshot;
mod queue;
mod semaphore;
mod signal;
mod wait_queue;
pub(crate) mod wake_batch;

pub use channel::{Receiver, Sender, channel};
pub use queue::{Get, Put, Queue, TryGetError, TryPutError};
pub use semaphore::{Acquire, Closed, OwnedPermit, Permit, Semaphore, TryAcquireError};
pub use signal::{Signal, Wait};

#[cfg(all(test, lab_loom))]
mod loom_tests;
#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod model_tests;
#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests;
