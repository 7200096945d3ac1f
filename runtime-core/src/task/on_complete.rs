//! What is called when a task has ended, without a task that waits for that.
//!
//! The handle is put into an allocation together with the callback, and that allocation's own waker into the task: whoever completes the task
//! wakes it, and the wake takes the outcome and calls.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use super::{JoinError, JoinHandle};
use crate::budget;
use crate::primitives::Mutex;

/// A handle, and what is to be done with its outcome. The task's waker slot keeps it alive, until the task has ended.
struct Completion<T, F> {
    waiting: Mutex<Option<(JoinHandle<T>, F)>>,
}

/// Calls `callback` with the outcome of the task: at its end, or at once.
pub(super) fn call<T, F>(mut handle: JoinHandle<T>, callback: F)
where
    T: Send + 'static,
    F: FnOnce(Result<T, JoinError>) + Send + 'static,
{
    let completion = Arc::new(Completion {
        waiting: Mutex::new(None),
    });
    let waker = Waker::from(Arc::clone(&completion));
    // Held until the handle is in its place: the task may end as soon as it has the waker.
    let mut waiting = completion.waiting.lock();
    if handle.wake_at_end(&waker) {
        *waiting = Some((handle, callback));
        return;
    }
    drop(waiting);
    finish(handle, callback);
}

/// The task has ended.
fn finish<T, F>(mut handle: JoinHandle<T>, callback: F)
where
    F: FnOnce(Result<T, JoinError>),
{
    // It is nobody's loop over handles, and there is no poll that could be repeated on a full budget.
    let _lifted = budget::lift();
    let mut cx = Context::from_waker(Waker::noop());
    if let Poll::Ready(outcome) = Future::poll(Pin::new(&mut handle), &mut cx) {
        callback(outcome);
    }
}

impl<T, F> Wake for Completion<T, F>
where
    T: Send + 'static,
    F: FnOnce(Result<T, JoinError>) + Send + 'static,
{
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let waiting = self.waiting.lock().take();
        if let Some((handle, callback)) = waiting {
            // The callback's panic ends here: it is no failure of the task, nor of whoever completed it.
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| finish(handle, callback))) {
                // The payload's own destructor may panic, too: there the chain is cut.
                let _ = catch_unwind(AssertUnwindSafe(|| drop(payload))).map_err(std::mem::forget);
            }
        }
    }
}
