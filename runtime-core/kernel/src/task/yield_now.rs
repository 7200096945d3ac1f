//! Lets other tasks run first.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::waker::yield_current;

/// Lets the other ready tasks run first. Under 1:1 the kernel decides which ones.
pub fn yield_now() -> YieldNow {
    YieldNow { yielded: false }
}

/// The future of [`yield_now`]. Cancel safe.
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        if !yield_current(cx.waker()) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}
