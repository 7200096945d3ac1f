//! Jobs that nobody needs any more when their future is dropped.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use runtime_kernel::task::{JoinError, JoinHandle};

/// A job of one of our own operations. When it is dropped, the job is cancelled if it still waits for a thread.
#[derive(Debug)]
pub(crate) struct OwnedJob<T>(JoinHandle<T>);

impl<T> OwnedJob<T> {
    pub(crate) fn new(job: JoinHandle<T>) -> Self {
        Self(job)
    }
}

impl<T> Future for OwnedJob<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<T> Drop for OwnedJob<T> {
    fn drop(&mut self) {
        // No effect on a job that has begun or ended.
        self.0.abort();
    }
}
