//! A queue entry: a task that is ready to run.
#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use super::cell::{self, Header, Ran as CellRan};
use super::error::JoinError;
use super::home::Home;
use super::id::TaskId;
use super::join::AbortHandle;
use super::scheduler_ref::SchedulerRef;

/// A task that is ready to run. There is exactly one for each time that a task is scheduled. It goes into a queue,
/// and is then [`run`](Task::run) or [`cancel`](Task::cancel)led.
///
/// Dropping it cancels the task. If a task is lost, for example by a panic in a queue's code, it therefore ends, and
/// its handle reports that. A task whose entry is forgotten or kept never runs again, and a runtime that waits for its
/// tasks waits for it.
#[must_use = "a task that is due must be queued, run or cancelled"]
pub struct Task(NonNull<Header>);

// SAFETY: the entry may be sent. The caller of `bind_local` promises that a future which is not Send runs and is
// dropped on its own thread.
unsafe impl Send for Task {}

/// The result of running a task once.
#[must_use = "a task that was woken or yielded must be queued again"]
pub enum Ran {
    /// It ended: by itself, by a panic, or because it had been aborted.
    Finished,
    /// It waits for a wake-up.
    Parked,
    /// It was woken while it ran: queue it again.
    Woken(Task),
    /// It asked to be queued behind the others: queue it again.
    Yielded(Task),
}

impl Task {
    /// The only entry of the task with that header.
    pub(super) fn of(header: NonNull<Header>) -> Self {
        Self(header)
    }

    /// Polls the task once.
    pub fn run(self) -> Ran {
        let header = self.into_header();
        // SAFETY: a `Task` is the only entry of a scheduled task.
        match unsafe { cell::run(header) } {
            CellRan::Finished => Ran::Finished,
            CellRan::Parked => Ran::Parked,
            CellRan::Woken => Ran::Woken(Self(header)),
            CellRan::Yielded => Ran::Yielded(Self(header)),
        }
    }

    /// Drops the task's future on this thread; its handle reports [`JoinError::Cancelled`].
    pub fn cancel(self) {
        drop(self);
    }

    /// Like [`cancel`](Task::cancel), for a task for which the system refused a thread.
    pub fn fail_to_start(self, error: io::Error) {
        // SAFETY: a `Task` is the only entry of a scheduled task.
        unsafe { cell::cancel_entry(self.into_header(), JoinError::SpawnFailed(error)) };
    }

    /// The entry as a pointer, which must be made a `Task` again, or run.
    #[inline]
    fn into_header(self) -> NonNull<Header> {
        ManuallyDrop::new(self).0
    }

    /// The name that the task was spawned with, or else the type of its future.
    pub fn name(&self) -> &str {
        // SAFETY: a scheduled task is alive; the borrow prevents the entry from being run.
        unsafe { cell::name_of(self.0) }
    }

    /// The tag that the task was [spawned with](super::Attributes::tag); 0 if it was given none.
    #[inline]
    pub fn tag(&self) -> u32 {
        // SAFETY: a scheduled task is alive; the borrow prevents the entry from being run.
        unsafe { cell::tag_of(self.0) }
    }

    /// The task's home, if it can be [pinned](super::home).
    #[inline]
    pub fn home(&self) -> Option<&Home> {
        // SAFETY: a scheduled task is alive; the borrow prevents the entry from being run.
        unsafe { cell::home_of(self.0) }
    }

    /// Whether the scheduler has put its mark on the task.
    #[inline]
    pub fn is_marked(&self) -> bool {
        // SAFETY: a scheduled task is alive; the borrow prevents the entry from being run.
        unsafe { self.0.as_ref() }.state.is_marked()
    }

    /// Marks the task, or unmarks it. The scheduler defines what the mark means.
    pub fn set_marked(&self, marked: bool) {
        // SAFETY: as above.
        unsafe { self.0.as_ref() }.state.set_marked(marked);
    }

    /// The task's identity.
    pub fn id(&self) -> TaskId {
        TaskId::of(self.0)
    }

    /// The scheduler that the task was bound to.
    pub fn scheduler(&self) -> &SchedulerRef {
        // SAFETY: a scheduled task is alive, and its scheduler never changes; the borrow prevents the entry from being
        // run.
        unsafe { self.0.as_ref() }.scheduler()
    }

    /// A handle that can abort the task, for a scheduler that keeps a list of its tasks.
    pub fn abort_handle(&self) -> AbortHandle {
        // SAFETY: a scheduled task is alive.
        unsafe { AbortHandle::of(self.0) }
    }

    /// The entry as a plain pointer, for queues of pointers.
    pub fn into_raw(self) -> NonNull<()> {
        self.into_header().cast()
    }

    /// The reverse of [`into_raw`](Task::into_raw).
    ///
    /// # Safety
    /// `raw` is from `into_raw`, and used once.
    pub unsafe fn from_raw(raw: NonNull<()>) -> Self {
        Self(raw.cast())
    }
}

impl Drop for Task {
    #[cold]
    fn drop(&mut self) {
        // SAFETY: a `Task` is the only entry of a scheduled task, and this one is not used again.
        unsafe { cell::cancel_entry(self.0, JoinError::Cancelled) };
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Task").field(&self.name()).finish()
    }
}

/// The name of the task that the calling thread polls, or else the type of its future; `None` outside a task.
pub fn current_name() -> Option<String> {
    // SAFETY: a thread that polls a task has a reference to it.
    cell::current_header().map(|header| unsafe { cell::name_of(header) }.to_owned())
}
