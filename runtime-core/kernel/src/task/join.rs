//! Handles: what a spawner keeps of a task.
#![allow(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use super::cell::{self, Header};
use super::state::{COMPLETE, JOIN_WAKER};
use super::{JoinError, TaskHandle, TaskId, on_complete};
use crate::blocking_wait::wait_at_most;
use crate::budget;
use crate::promise::{Promise, Promised};
use crate::task_list::LiveTask;
use crate::time::Elapsed;

/// A spawned task, as its spawner sees it: a future of the task's outcome.
///
/// Dropping it detaches the task, which goes on. It never keeps a runtime alive: when that ends, the handle yields
/// [`JoinError::Cancelled`]. It can be awaited anywhere, also under another runtime. asyncio calls it a Task.
///
/// Cancel safe: a dropped `(&mut handle).await` loses nothing.
///
/// Cost: the handle is a pointer and an id, and allocates nothing. Awaiting it leaves a waker in the task's own
/// memory, which the handle keeps, with the outcome in it, until that is taken or the handle is dropped. A poll of
/// the handle runs no other task.
///
/// # Panics
/// When it is polled again after it has yielded; when the task that it belongs to awaits it, which would never end.
/// (Two tasks that await each other are not found out.)
#[must_use = "a dropped handle detaches its task; drop it explicitly if that is meant"]
pub struct JoinHandle<T> {
    /// None once the outcome was taken.
    header: Option<NonNull<Header>>,
    id: TaskId,
    _output: PhantomData<T>,
}

const YIELDED: &str = "a JoinHandle was polled after it had yielded its task's outcome";

// SAFETY: all that a handle does to the shared cell goes through its state word; the output moves to the thread of
// the handle, so `T` must be Send.
unsafe impl<T: Send> Send for JoinHandle<T> {}
// SAFETY: `&JoinHandle` reaches the atomic state word only.
unsafe impl<T: Send> Sync for JoinHandle<T> {}
impl<T> Unpin for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    /// SAFETY: the handle's reference is the caller's to give, `T` is the task's output.
    pub(super) unsafe fn new(header: NonNull<Header>) -> Self {
        Self {
            header: Some(header),
            id: TaskId::of(header),
            _output: PhantomData,
        }
    }

    /// Cancels the task at its next suspension point; the handle then yields [`JoinError::Cancelled`].
    ///
    /// A task that finishes in the poll during which it is aborted yields its value; aborting a finished one changes
    /// nothing.
    pub fn abort(&self) {
        if let Some(header) = self.header {
            // SAFETY: alive by the handle's reference.
            unsafe { cell::abort(header) };
        }
    }

    /// True when awaiting the handle would not wait.
    pub fn is_finished(&self) -> bool {
        self.header.is_none_or(|header| {
            // SAFETY: alive by the handle's reference.
            unsafe { header.as_ref() }.state.load().has(COMPLETE)
        })
    }

    /// The task's identity, unique among the tasks that live or have a handle.
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// The name that the task was spawned with, else the type of its future; none once the handle has yielded the
    /// outcome.
    pub fn name(&self) -> Option<&str> {
        // SAFETY: alive by the handle's reference, which the borrow keeps.
        self.header.map(|header| unsafe { cell::name_of(header) })
    }

    /// Waits for the task on a thread that runs no tasks, for at most `limit`: blocks it. `Duration::MAX` waits
    /// without limit. It is `result(timeout)` of asyncio's `run_coroutine_threadsafe`.
    ///
    /// The task must be able to advance meanwhile: under N:1, some other thread runs the loop.
    ///
    /// # Errors
    /// [`Elapsed`] when the time is over; the task goes on, and the handle can be asked again. Inside, the
    /// [`JoinError`] of the task.
    ///
    /// # Panics
    /// Inside of a task; when the handle has yielded the outcome already.
    pub fn result(&mut self, limit: Duration) -> Result<Result<T, JoinError>, Elapsed> {
        wait_at_most(
            "JoinHandle::result",
            "await the handle instead",
            limit,
            Pin::new(self),
        )
    }

    /// Calls `callback` with the task's outcome when the task has ended; at once, on the calling thread, if it has.
    /// asyncio's `add_done_callback`.
    ///
    /// No task waits for that: the callback runs on the thread that ends the task, outside of any task, after the
    /// task's future was dropped. It must not block, and should be short, as that worker's other tasks wait. A panic
    /// in it ends there. To be able to abort the task, take an [`abort_handle`](JoinHandle::abort_handle) first.
    ///
    /// Cost: one allocation.
    ///
    /// # Panics
    /// When the handle has yielded the outcome already; with the panic of `callback` if the task has ended before.
    pub fn on_complete<F>(self, callback: F)
    where
        T: Send + 'static,
        F: FnOnce(Result<T, JoinError>) + Send + 'static,
    {
        on_complete::call(self, callback);
    }

    /// A handle that can be cloned and awaited by many; each gets a clone of the value. The error is counted, as a
    /// panic's payload cannot be cloned. Like an asyncio task it can be awaited again after it has ended.
    ///
    /// The inner error, `Broken`, does not occur: a task always ends with an outcome.
    ///
    /// A task that awaits a shared handle of its own **waits for ever**: unlike a `JoinHandle`, what is shared does
    /// not know whose outcome it is, so that nobody panics.
    ///
    /// Cost: an allocation for what is shared and one for the callback that fills it, and one more for an error; see
    /// [`Promised`].
    ///
    /// ```
    /// # fn main() {}
    /// # async fn example() {
    /// let shared = runtime_core::spawn(async { 42 }).shared();
    /// let (one, other) = (shared.clone().await, shared.await);
    /// assert!(matches!((one, other), (Ok(Ok(42)), Ok(Ok(42)))));
    /// # }
    /// ```
    pub fn shared(self) -> Promised<Result<T, Arc<JoinError>>>
    where
        T: Clone + Send + Sync + 'static,
    {
        let promise = Promise::new();
        let shared = promise.future();
        self.on_complete(move |outcome| promise.set_result(outcome.map_err(Arc::new)));
        shared
    }

    /// Leaves `waker` with the task, to be woken at its end; false if that was already.
    pub(super) fn wake_at_end(&mut self, waker: &Waker) -> bool {
        let header = self.header.expect(YIELDED);
        // SAFETY: alive by the handle's reference.
        let head = unsafe { header.as_ref() };
        let state = head.state.load();
        !state.has(COMPLETE) && cell::park_join(head, state.has(JOIN_WAKER), waker)
    }

    /// A handle that can only abort, and that does not detach or wait.
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle {
            header: self.header.inspect(|header| {
                // SAFETY: alive by the handle's reference.
                unsafe { header.as_ref() }.state.retain();
            }),
            id: self.id,
        }
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let header = self.header.expect(YIELDED);
        // A task that spawns and awaits in a loop would otherwise never return from its poll.
        let spent = ready!(budget::poll_proceed(cx));
        // SAFETY: this is the one handle, and `T` the output; once it is taken, `header` is None.
        let output = unsafe { cell::poll_join(header, cx.waker()) };
        if output.is_ready() {
            spent.made_progress();
            self.header = None;
            // SAFETY: the handle's reference, given up once; the task has ended.
            unsafe { cell::release_last(header) };
        } else {
            assert!(
                TaskId::current() != Some(self.id),
                "a task awaits its own JoinHandle, which would never end: give the handle to another task, or let the code that is to \
                 wait for this task be spawned on its own"
            );
        }
        output
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if let Some(header) = self.header.take() {
            // SAFETY: this is the one handle, and it has not taken the output.
            unsafe { cell::drop_join(header) };
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("id", &self.id)
            .field("finished", &self.is_finished())
            .finish()
    }
}

impl<T: Send + 'static> TaskHandle<T> for JoinHandle<T> {
    fn abort(&self) {
        self.abort();
    }
    fn is_finished(&self) -> bool {
        self.is_finished()
    }
}

/// A handle that can only abort its task. See [`JoinHandle::abort_handle`].
pub struct AbortHandle {
    header: Option<NonNull<Header>>,
    id: TaskId,
}

// SAFETY: all that it does to the shared cell goes through the atomic state word, and the scheduler's `schedule`,
// which may be called from any thread.
unsafe impl Send for AbortHandle {}
// SAFETY: as above.
unsafe impl Sync for AbortHandle {}

impl AbortHandle {
    /// SAFETY: the task is alive.
    pub(super) unsafe fn of(header: NonNull<Header>) -> Self {
        // SAFETY: by this function's contract.
        unsafe { header.as_ref() }.state.retain();
        Self {
            header: Some(header),
            id: TaskId::of(header),
        }
    }

    /// A handle to the task that the calling thread is polling: asyncio's `current_task()`. None outside of a task.
    ///
    /// ```
    /// # fn main() {}
    /// # async fn example() {
    /// use runtime_core::{AbortHandle, spawn_named};
    ///
    /// let task = spawn_named("worker", async {
    ///     AbortHandle::current().and_then(|task| task.name().map(str::to_owned))
    /// });
    /// assert_eq!(task.await.unwrap().as_deref(), Some("worker"));
    /// # }
    /// ```
    pub fn current() -> Option<Self> {
        // SAFETY: a task is alive while it is polled or its future is dropped.
        cell::current().map(|header| unsafe { Self::of(header) })
    }

    /// The name that the task was spawned with, else the type of its future; none if the task's handle had yielded its
    /// outcome before this one was made.
    pub fn name(&self) -> Option<&str> {
        // SAFETY: alive by our reference, which the borrow keeps.
        self.header.map(|header| unsafe { cell::name_of(header) })
    }

    /// Where the task was spawned, if it was given a name there.
    pub fn spawned_at(&self) -> Option<&'static Location<'static>> {
        // SAFETY: alive by our reference.
        self.header
            .and_then(|header| unsafe { cell::spawned_at(header) })
    }

    /// As [`Task::set_marked`](super::Task::set_marked).
    pub fn set_marked(&self, marked: bool) {
        if let Some(header) = self.header {
            // SAFETY: alive by our reference.
            unsafe { header.as_ref() }.state.set_marked(marked);
        }
    }

    /// As [`JoinHandle::abort`].
    pub fn abort(&self) {
        if let Some(header) = self.header {
            // SAFETY: alive by our reference.
            unsafe { cell::abort(header) };
        }
    }

    /// What a [`TaskList`](crate::task_list::TaskList) says of the task, for a scheduler that keeps a list of its
    /// tasks; none once it has ended.
    pub fn live_task(&self) -> Option<LiveTask> {
        // SAFETY: alive by our reference.
        self.header
            .and_then(|header| unsafe { cell::live_task(header) })
    }

    /// As [`JoinHandle::is_finished`].
    pub fn is_finished(&self) -> bool {
        self.header.is_none_or(|header| {
            // SAFETY: alive by our reference.
            unsafe { header.as_ref() }.state.load().has(COMPLETE)
        })
    }

    /// As [`JoinHandle::id`].
    pub fn id(&self) -> TaskId {
        self.id
    }
}

impl Clone for AbortHandle {
    fn clone(&self) -> Self {
        Self {
            header: self.header.inspect(|header| {
                // SAFETY: alive by our reference.
                unsafe { header.as_ref() }.state.retain();
            }),
            id: self.id,
        }
    }
}

impl Drop for AbortHandle {
    fn drop(&mut self) {
        if let Some(header) = self.header.take() {
            // SAFETY: our reference, given up once.
            unsafe { cell::release(header) };
        }
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle").field("id", &self.id).finish()
    }
}

// The panic of a task is kept in its outcome.
impl<T> std::panic::UnwindSafe for JoinHandle<T> {}
impl<T> std::panic::RefUnwindSafe for JoinHandle<T> {}
