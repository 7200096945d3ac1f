//! Why an item could not be put or got.

use std::error::Error;
use std::fmt;

/// Why [`try_put`](super::OrderedQueue::try_put) did not put the value, which it returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryPutError<T> {
    /// There is no room, or others are already waiting for room: asyncio's `QueueFull`.
    #[doc(alias = "QueueFull")]
    Full(T),
    /// The queue was closed: asyncio's `QueueShutDown`.
    #[doc(alias = "QueueShutDown")]
    Closed(T),
}

impl<T> TryPutError<T> {
    /// The value that was not put.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(value) | Self::Closed(value) => value,
        }
    }
}

impl<T> fmt::Display for TryPutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the queue is full",
            Self::Closed(_) => "the queue is closed",
        })
    }
}

impl<T: fmt::Debug> Error for TryPutError<T> {}

/// Why [`try_get`](super::OrderedQueue::try_get) got nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryGetError {
    /// There is no item, or others are already waiting for one: asyncio's `QueueEmpty`.
    #[doc(alias = "QueueEmpty")]
    Empty,
    /// The queue was closed, and no item is left: asyncio's `QueueShutDown`.
    #[doc(alias = "QueueShutDown")]
    Closed,
}

impl fmt::Display for TryGetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the queue is empty",
            Self::Closed => "the queue is closed",
        })
    }
}

impl Error for TryGetError {}
