//! What whoever asked for a call keeps of it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use crate::runtime::TaskHandle;
use runtime_kernel::task::{JoinError, JoinHandle};

/// A call that was asked for. Dropping it cancels nothing. asyncio's `Handle` and `TimerHandle`.
///
/// As a future it completes when the call has been made, with [`JoinError::Cancelled`] if it never will be. Cancel
/// safe: a dropped `(&mut call).await` loses nothing.
#[derive(Debug)]
pub struct CallHandle<H = JoinHandle<()>> {
    when: Option<Instant>,
    task: H,
}

impl<H> CallHandle<H> {
    pub(super) fn new(when: Option<Instant>, task: H) -> Self {
        Self { when, task }
    }

    /// When it is due; none for one that is due at once, or never.
    pub fn when(&self) -> Option<Instant> {
        self.when
    }
}

impl<H: TaskHandle<()>> CallHandle<H> {
    /// Sees to it that the call is not made, if it has not begun. From any thread; more than once too.
    pub fn cancel(&self) {
        self.task.abort();
    }

    /// True if the call has been made or was cancelled.
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }
}

impl<H: TaskHandle<()>> Future for CallHandle<H> {
    type Output = Result<(), JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.task).poll(cx)
    }
}
