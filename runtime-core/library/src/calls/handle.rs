//! The handle to a call.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use crate::runtime::TaskHandle;
use runtime_kernel::task::{JoinError, JoinHandle};

/// A handle to a scheduled call. Dropping it cancels nothing. asyncio's `Handle` and `TimerHandle`.
///
/// As a future, it completes when the call was made, with [`JoinError::Cancelled`] if it never will be. Cancel safe: a
/// dropped `(&mut call).await` loses nothing.
#[derive(Debug)]
pub struct CallHandle<H = JoinHandle<()>> {
    when: Option<Instant>,
    task: H,
}

impl<H> CallHandle<H> {
    pub(super) fn new(when: Option<Instant>, task: H) -> Self {
        Self { when, task }
    }

    /// When it is due; `None` if it is due at once, or never.
    pub fn when(&self) -> Option<Instant> {
        self.when
    }
}

impl<H: TaskHandle<()>> CallHandle<H> {
    /// Prevents the call, if it has not begun. You can call this from any thread, and repeatedly.
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
