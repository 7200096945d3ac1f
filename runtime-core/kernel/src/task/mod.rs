#![doc = include_str!("README.md")]
#![allow(unsafe_code)]

mod arena;
mod attributes;
mod cell;
mod error;
mod handle;
mod join;
mod on_complete;
mod pages;
mod payload;
mod registry;
mod safe_schedule;
mod scheduler;
mod state;
mod waker;

#[cfg(test)]
mod tests;

use std::any::type_name;
use std::fmt;
use std::future::Future;
use std::io;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker};

use cell::{Header, Named, Ran as CellRan, Tagged};

use crate::trace::{self, Name, Table};

pub use crate::budget::{consume_budget, unconstrained};
pub use arena::{Arena, BlockCache};
pub use attributes::Attributes;
pub use error::JoinError;
pub use handle::TaskHandle;
pub use join::{AbortHandle, JoinHandle};
pub use payload::PanicPayload;
pub use safe_schedule::SafeSchedule;
pub use scheduler::{Schedule, SchedulerArc, SchedulerRef};
pub use waker::is_a_tasks;

/// A task that is due to run. There is exactly one for each time that a task is scheduled; it goes into a queue, and
/// comes out to be [`run`](Task::run) or [`cancel`](Task::cancel)led.
///
/// Dropping it cancels it: whoever loses a task, by a panic in the middle of a queue's code say, ends it, and nobody
/// waits for it for ever. A task that is forgotten, or kept, never runs again, and a runtime that waits for its tasks
/// waits for that one.
#[must_use = "a task that is due must be queued, run or cancelled"]
pub struct Task(NonNull<Header>);

// SAFETY: the entry may travel; that a future which is not Send is run and dropped on its own thread is promised by
// whoever called `bind_local`.
unsafe impl Send for Task {}

/// What came of running a task once.
#[must_use = "a task that was woken or yielded must be queued again"]
pub enum Ran {
    /// It ended: by its own, by a panic, or because it had been aborted.
    Finished,
    /// It waits for a wake-up.
    Parked,
    /// It was woken while it ran: it is due again.
    Woken(Task),
    /// It asked to be put behind the others: it is due again.
    Yielded(Task),
}

impl Task {
    /// Polls the task once.
    pub fn run(self) -> Ran {
        let header = self.into_header();
        // SAFETY: a `Task` is the one entry of a scheduled task.
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

    /// As [`cancel`](Task::cancel), for a task that the system gave no thread.
    pub fn fail_to_start(self, error: io::Error) {
        // SAFETY: a `Task` is the one entry of a scheduled task.
        unsafe { cell::cancel_entry(self.into_header(), JoinError::SpawnFailed(error)) };
    }

    /// The entry as a pointer, which somebody must make a `Task` again, or run.
    #[inline]
    fn into_header(self) -> NonNull<Header> {
        ManuallyDrop::new(self).0
    }

    /// The name that the task was spawned with, else the type of its future.
    pub fn name(&self) -> &str {
        // SAFETY: a scheduled task is alive; the borrow keeps the entry from being run.
        unsafe { cell::name_of(self.0) }
    }

    /// The tag that the task was [spawned with](Attributes::tag); 0 if it was given none.
    #[inline]
    pub fn tag(&self) -> u32 {
        // SAFETY: a scheduled task is alive; the borrow keeps the entry from being run.
        unsafe { cell::tag_of(self.0) }
    }

    /// Whether the scheduler has put its mark on the task.
    #[inline]
    pub fn is_marked(&self) -> bool {
        // SAFETY: a scheduled task is alive; the borrow keeps the entry from being run.
        unsafe { self.0.as_ref() }.state.is_marked()
    }

    /// Puts a mark on the task, or takes it off. It means what the scheduler wants it to mean.
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
        // SAFETY: a scheduled task is alive, and its scheduler never changes; the borrow keeps the entry from being
        // run.
        unsafe { self.0.as_ref() }.scheduler()
    }

    /// A handle that can abort the task, for a scheduler that keeps a list of its tasks.
    pub fn abort_handle(&self) -> AbortHandle {
        // SAFETY: a scheduled task is alive.
        unsafe { AbortHandle::of(self.0) }
    }

    /// For queues that hold plain pointers.
    pub fn into_raw(self) -> NonNull<()> {
        self.into_header().cast()
    }

    /// Back from [`into_raw`](Task::into_raw).
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
        // SAFETY: a `Task` is the one entry of a scheduled task, and this one is not used again.
        unsafe { cell::cancel_entry(self.0, JoinError::Cancelled) };
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Task").field(&self.name()).finish()
    }
}

/// A task's identity, unique among the tasks that live or have a handle; it is used again after that.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(usize);

impl TaskId {
    fn of(header: NonNull<Header>) -> Self {
        Self(header.as_ptr() as usize)
    }

    /// The task that the calling thread is polling; `None` outside of a task.
    pub fn current() -> Option<Self> {
        cell::current().map(Self::of)
    }

    /// The number behind it.
    pub fn get(self) -> usize {
        self.0
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskId({:x})", self.0)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// What a record of a poll says of its task's type.
pub(crate) fn type_name_of_table(table: Table) -> &'static str {
    // SAFETY: only a cell makes one, and exposes the address.
    unsafe { cell::type_name_of_table(table.address()) }
}

/// Tells the recorder, if something records.
#[inline(always)]
fn note_spawned(header: NonNull<Header>, name: Name<'_>, site: &'static Location<'static>) {
    if trace::is_on() {
        trace::note_spawned(TaskId::of(header), name, Some(site));
    }
}

/// Makes a task of a scheduler. The scheduler must queue, run or cancel it.
#[track_caller]
pub fn bind<F>(scheduler: &SchedulerRef, future: F) -> (Task, JoinHandle<F::Output>)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    bind_at(scheduler, Location::caller(), future)
}

/// As [`bind`], for a spawn at that place.
pub fn bind_at<F>(
    scheduler: &SchedulerRef,
    site: &'static Location<'static>,
    future: F,
) -> (Task, JoinHandle<F::Output>)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    // SAFETY: future and output may be dropped on any thread.
    unsafe { bind_local_at(scheduler, site, future) }
}

/// As [`bind`], for a task with a name of its own; the place of the call is kept with it.
#[track_caller]
pub fn bind_named<F>(
    scheduler: &SchedulerRef,
    name: impl Into<Box<str>>,
    future: F,
) -> (Task, JoinHandle<F::Output>)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let site = Location::caller();
    let name = Named {
        name: name.into(),
        spawned_at: site,
    };
    let header = cell::allocate::<F, Named>(scheduler, name, future);
    // SAFETY: fresh from `allocate`.
    note_spawned(header, Name::Given(unsafe { cell::name_of(header) }), site);
    // SAFETY: fresh from `allocate`: one entry, one reference for the handle.
    (Task(header), unsafe { JoinHandle::new(header) })
}

/// As [`bind`], for a task with attributes. Its block is 8 bytes larger.
#[track_caller]
pub fn bind_with<F>(
    scheduler: &SchedulerRef,
    attributes: Attributes,
    future: F,
) -> (Task, JoinHandle<F::Output>)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let header = cell::allocate::<F, Tagged>(scheduler, Tagged(attributes.tag), future);
    note_spawned(header, Name::Type(type_name::<F>()), Location::caller());
    // SAFETY: fresh from `allocate`: one entry, one reference for the handle.
    (Task(header), unsafe { JoinHandle::new(header) })
}

/// As [`bind`], for a future that must stay on its thread.
///
/// # Safety
/// The scheduler runs, cancels and drops the task on the calling thread only, or both the future and its output are
/// `Send`.
#[track_caller]
pub unsafe fn bind_local<F>(scheduler: &SchedulerRef, future: F) -> (Task, JoinHandle<F::Output>)
where
    F: Future + 'static,
    F::Output: 'static,
{
    // SAFETY: by this function's contract.
    unsafe { bind_local_at(scheduler, Location::caller(), future) }
}

/// As [`bind_local`], for a spawn at that place.
///
/// # Safety
/// As there.
unsafe fn bind_local_at<F>(
    scheduler: &SchedulerRef,
    site: &'static Location<'static>,
    future: F,
) -> (Task, JoinHandle<F::Output>)
where
    F: Future + 'static,
    F::Output: 'static,
{
    let header = cell::allocate::<F, ()>(scheduler, (), future);
    note_spawned(header, Name::Type(type_name::<F>()), site);
    // SAFETY: fresh from `allocate`: one entry, one reference for the handle.
    (Task(header), unsafe { JoinHandle::new(header) })
}

/// Whether `waker` is that of the task that the calling thread polls, and no combinator's or other executor's.
pub fn is_own_waker(waker: &Waker) -> bool {
    cell::is_own_waker(waker)
}

/// Lets the other tasks that are ready run first. Under 1:1 the kernel decides who that is.
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
        if !cell::yield_current(cx.waker()) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}
