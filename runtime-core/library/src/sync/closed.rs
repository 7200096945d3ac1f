//! Why a semaphore or a queue refused a request.

use std::error::Error;
use std::fmt;

/// The semaphore or queue was closed while or before you waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("closed")
    }
}

impl Error for Closed {}

/// Why [`Semaphore::try_acquire`](super::Semaphore::try_acquire) returned no permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryAcquireError {
    /// The semaphore was closed.
    Closed,
    /// There are too few permits, or others are already waiting.
    NoPermits,
}

impl fmt::Display for TryAcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::NoPermits => "no permits available",
        })
    }
}

impl Error for TryAcquireError {}
