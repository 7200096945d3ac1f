//! A task that continues when the tasks that wait for it are cancelled.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::runtime::TaskHandle;
use runtime_kernel::budget;
use runtime_kernel::primitives::Mutex;
use runtime_kernel::saved_waker::{PollWaker, SavedWaker};
use runtime_kernel::task::JoinError;

/// Puts a task behind a handle that can't abort it. If the shield is aborted, by you or by a combinator
/// ([`gather`](super::gather) when it is dropped, [`wait_for`](super::wait_for) when its time is up), it ends with
/// [`JoinError::Cancelled`], and the task continues. asyncio's `shield`.
///
/// To shield a future that is not a task, spawn it. Dropping a handle detaches its task anyway.
///
/// Cancel safe: a dropped `(&mut shield).await` loses nothing. Cost: a short lock for a poll that has to wait and for
/// an abort; no allocation.
///
/// ```
/// # fn main() {}
/// # async fn example() {
/// use std::time::Duration;
/// use runtime_core::{combine::{shield, wait_for}, spawn, sync::oneshot, time::sleep};
///
/// let (done, told) = oneshot::channel();
/// let saving = spawn(async {
///     sleep(Duration::from_millis(50)).await;
///     done.send(()).unwrap();
/// });
/// assert!(wait_for(shield(saving), Duration::from_millis(5)).await.is_err());
/// told.await.unwrap(); // it went on
/// # }
/// ```
pub fn shield<H, T>(handle: H) -> Shield<H, T>
where
    H: TaskHandle<T>,
{
    Shield {
        handle,
        outer: Mutex::new(Outer {
            cancelled: false,
            waiting: None,
        }),
        _output: PhantomData,
    }
}

/// The handle of [`shield`]. Dropping it detaches the task.
#[must_use = "a dropped shield detaches its task"]
pub struct Shield<H, T> {
    handle: H,
    outer: Mutex<Outer>,
    _output: PhantomData<fn() -> T>,
}

/// The shield's own side: an abort stops here.
struct Outer {
    cancelled: bool,
    waiting: Option<SavedWaker>,
}

impl<H, T> Shield<H, T> {
    /// The inner handle, with which you can abort and await the task, even after the shield was aborted.
    pub fn into_inner(self) -> H {
        self.handle
    }
}

impl<H: Unpin, T> Unpin for Shield<H, T> {}

impl<H: TaskHandle<T>, T> Future for Shield<H, T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // The handle may belong to another runtime, and an abort ends the shield without it.
        let begun = ready!(budget::poll_begin(cx));
        if let Poll::Ready(outcome) = Pin::new(&mut self.handle).poll(cx) {
            begun.completed();
            return Poll::Ready(outcome);
        }
        let mut own = PollWaker::new(cx.waker());
        loop {
            let mut outer = self.outer.lock();
            if outer.cancelled {
                begun.completed();
                return Poll::Ready(Err(JoinError::Cancelled));
            }
            if own.store_in(&mut outer.waiting) {
                return Poll::Pending;
            }
            drop(outer);
            own.prepare();
        }
    }
}

impl<H: TaskHandle<T>, T: Send + 'static> TaskHandle<T> for Shield<H, T> {
    /// Ends the shield; the task continues.
    fn abort(&self) {
        let waiting = {
            let mut outer = self.outer.lock();
            outer.cancelled = true;
            outer.waiting.take()
        };
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }

    fn is_finished(&self) -> bool {
        self.outer.lock().cancelled || self.handle.is_finished()
    }
}

impl<H: fmt::Debug, T> fmt::Debug for Shield<H, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not under the lock: the formatter's output may use the shield.
        let cancelled = self.outer.lock().cancelled;
        f.debug_struct("Shield")
            .field("handle", &self.handle)
            .field("cancelled", &cancelled)
            .finish()
    }
}
