//! Handles to tasks.
#![allow(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use super::cell::{self, Header};
use super::error::JoinError;
use super::handle::TaskHandle;
use super::id::TaskId;
use super::state::{COMPLETE, JOIN_WAKER};
use crate::blocking_wait::wait_at_most;
use crate::budget;
use crate::task_list::LiveTask;
use crate::time::Elapsed;

/// A handle to a spawned task: a future of the task's outcome.
///
/// Dropping it detaches the task, which continues. A handle never keeps a runtime alive: when the runtime ends, the
/// handle yields [`JoinError::Cancelled`]. You can await it anywhere, even under another runtime. asyncio calls it a
/// Task.
///
/// Cancel safe: a dropped `(&mut handle).await` loses nothing.
///
/// Cost: the handle is a pointer and an id, and allocates nothing. Awaiting it stores a waker in the task's own
/// memory. The handle keeps that memory, with the outcome in it, until the outcome is taken or the handle is dropped.
/// A poll of the handle runs no other task.
///
/// # Panics
/// If it is polled again after it has yielded, or if its own task awaits it, which would never end. (Two tasks that
/// await each other are not detected.)
#[must_use = "a dropped handle detaches its task; drop it explicitly if that is meant"]
pub struct JoinHandle<T> {
    /// `None` once the outcome was taken.
    header: Option<NonNull<Header>>,
    id: TaskId,
    _output: PhantomData<T>,
}

const YIELDED: &str = "a JoinHandle was polled after it had yielded its task's outcome";

// SAFETY: everything that a handle does to the shared cell goes through its state word. The output moves to the
// handle's thread, so `T` must be Send.
unsafe impl<T: Send> Send for JoinHandle<T> {}
// SAFETY: `&JoinHandle` reaches only the atomic state word.
unsafe impl<T: Send> Sync for JoinHandle<T> {}
impl<T> Unpin for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    /// SAFETY: the caller gives the handle's reference away, and `T` is the task's output.
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

    /// True if awaiting the handle would not wait.
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

    /// The name that the task was spawned with, or else the type of its future; `None` once the handle has yielded the
    /// outcome.
    pub fn name(&self) -> Option<&str> {
        // SAFETY: alive by the handle's reference, which the borrow keeps.
        self.header.map(|header| unsafe { cell::name_of(header) })
    }

    /// Waits for the task on a thread that runs no tasks, and blocks that thread for at most `limit`. `Duration::MAX`
    /// waits without limit. It corresponds to `result(timeout)` of asyncio's `run_coroutine_threadsafe`.
    ///
    /// The task must be able to advance meanwhile: under N:1, another thread must run the loop.
    ///
    /// # Errors
    /// [`Elapsed`] when the time is up; the task continues, and you can ask the handle again. Inside `Ok`, the task's
    /// [`JoinError`].
    ///
    /// # Panics
    /// Inside a task, or if the handle has already yielded the outcome.
    pub fn result(&mut self, limit: Duration) -> Result<Result<T, JoinError>, Elapsed> {
        wait_at_most(
            "JoinHandle::result",
            "await the handle instead",
            limit,
            Pin::new(self),
        )
    }

    /// Leaves `waker` with the task, to be woken at its end. False if the task has already ended.
    pub(super) fn wake_at_end(&mut self, waker: &Waker) -> bool {
        let header = self.header.expect(YIELDED);
        // SAFETY: alive by the handle's reference.
        let head = unsafe { header.as_ref() };
        let state = head.state.load();
        !state.has(COMPLETE) && cell::park_join(head, state.has(JOIN_WAKER), waker)
    }

    /// A handle that can only abort: it does not detach the task or wait for it.
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
        // SAFETY: this is the only handle, and `T` the output; once it is taken, `header` is None.
        let Poll::Ready(outcome) = (unsafe { cell::poll_join(header, cx.waker()) }) else {
            assert!(
                TaskId::current() != Some(self.id),
                "a task awaits its own JoinHandle, which would never end: give the handle to another task, or let the code that is to \
                 wait for this task be spawned on its own"
            );
            return Poll::Pending;
        };
        spent.made_progress();
        self.header = None;
        // SAFETY: the handle's reference, given up once; the task has ended.
        unsafe { cell::release_last(header) };
        // Here an error is larger than in the cell. As the last expression, it is built in the place of the return
        // value.
        Poll::Ready(outcome.map_err(JoinError::from))
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if let Some(header) = self.header.take() {
            // SAFETY: this is the only handle, and it has not taken the output.
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

// SAFETY: everything that it does to the shared cell goes through the atomic state word, and through the scheduler's
// `schedule`, which any thread may call.
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

    /// A handle to the task that the calling thread polls: asyncio's `current_task()`. `None` outside a task.
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
        cell::current_header().map(|header| unsafe { Self::of(header) })
    }

    /// The name that the task was spawned with, or else the type of its future; `None` if the task's handle had
    /// already yielded the outcome when this handle was made.
    pub fn name(&self) -> Option<&str> {
        // SAFETY: alive by our reference, which the borrow keeps.
        self.header.map(|header| unsafe { cell::name_of(header) })
    }

    /// Where the task was spawned, if it got a name there.
    pub fn spawned_at(&self) -> Option<&'static Location<'static>> {
        // SAFETY: alive by our reference.
        self.header
            .and_then(|header| unsafe { cell::spawned_at(header) })
    }

    /// Like [`Task::set_marked`](super::Task::set_marked).
    pub fn set_marked(&self, marked: bool) {
        if let Some(header) = self.header {
            // SAFETY: alive by our reference.
            unsafe { header.as_ref() }.state.set_marked(marked);
        }
    }

    /// Like [`JoinHandle::abort`].
    pub fn abort(&self) {
        if let Some(header) = self.header {
            // SAFETY: alive by our reference.
            unsafe { cell::abort(header) };
        }
    }

    /// The task's entry in a [`TaskList`](crate::task_list::TaskList), for a scheduler that keeps a list of its tasks;
    /// `None` once the task has ended.
    pub fn live_task(&self) -> Option<LiveTask> {
        // SAFETY: alive by our reference.
        self.header
            .and_then(|header| unsafe { cell::live_task(header) })
    }

    /// Like [`JoinHandle::is_finished`].
    pub fn is_finished(&self) -> bool {
        self.header.is_none_or(|header| {
            // SAFETY: alive by our reference.
            unsafe { header.as_ref() }.state.load().has(COMPLETE)
        })
    }

    /// Like [`JoinHandle::id`].
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

// A task's panic is kept in its outcome.
impl<T> std::panic::UnwindSafe for JoinHandle<T> {}
impl<T> std::panic::RefUnwindSafe for JoinHandle<T> {}
