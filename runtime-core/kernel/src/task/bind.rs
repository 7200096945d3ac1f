//! Turns a future into a task of a scheduler.
#![allow(unsafe_code)]

use std::any::type_name;
use std::future::Future;
use std::panic::Location;
use std::ptr::NonNull;

use super::cell::{self, Header, Named, Pinnable, Tagged};
use super::home::Home;
use super::id::TaskId;
use super::{Attributes, JoinHandle, SchedulerRef, Task};
use crate::trace::{self, Name};

/// Informs the recorder, if a recording is on.
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

/// Like [`bind`], with the place of the spawn.
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

/// Like [`bind`], for a task with its own name. It also keeps the place of the call.
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
    (Task::of(header), unsafe { JoinHandle::new(header) })
}

/// Like [`bind`], for a task with attributes. Its block is 8 bytes larger.
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
    (Task::of(header), unsafe { JoinHandle::new(header) })
}

/// Like [`bind`], for a task that stays on the worker that begins it: see [`home`](super::home). A name comes with the
/// place of the spawn.
pub fn bind_pinnable<F>(
    scheduler: &SchedulerRef,
    name: Option<(Box<str>, &'static Location<'static>)>,
    attributes: Attributes,
    future: F,
) -> (Task, JoinHandle<F::Output>)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let pinnable = Pinnable {
        home: Home::default(),
        tag: Tagged(attributes.tag),
        named: name.map(|(name, spawned_at)| Named { name, spawned_at }),
    };
    let header = cell::allocate::<F, Pinnable>(scheduler, pinnable, future);
    // SAFETY: fresh from `allocate`: one entry, one reference for the handle.
    (Task::of(header), unsafe { JoinHandle::new(header) })
}

/// Like [`bind`], for a future that must stay on its thread.
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

/// Like [`bind_local`], with the place of the spawn.
///
/// # Safety
/// Same as there.
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
    (Task::of(header), unsafe { JoinHandle::new(header) })
}
