//! Free functions over the ambient runtime.

use std::future::Future;
use std::panic::Location;
use std::sync::Arc;

use crate::context::{self, Ambient, Refused};
use crate::task::{self, Attributes, JoinHandle};

/// Starts a task on the runtime that the calling thread belongs to. It runs whether or not the handle is awaited.
/// asyncio's `create_task`.
///
/// The task starts without the caller's task-locals, which asyncio copies: to hand them on, spawn
/// `inherit``(future)`. To give it a name, see [`spawn_named`].
///
/// Fairness: the scheduler decides when it is its turn, which is put off for ever by nobody. Cost: one block of memory
/// for the task and its future; under 1:1 a thread besides.
///
/// # Panics
/// Outside of a runtime.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let site = Location::caller();
    let (handle, launched) = context::with("spawn", |ambient| {
        let (task, handle) = task::bind_at(&ambient.scheduler_for_new_task(), site, future);
        (handle, ambient.launch(task))
    });
    settle(launched);
    handle
}

/// As [`spawn`], with a name that monitors, traces and shutdown reports show. asyncio's `create_task(.., name=)`.
///
/// # Panics
/// Outside of a runtime.
#[track_caller]
pub fn spawn_named<F>(name: impl Into<Box<str>>, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    // Not in the closure, which would be the caller that is kept with the name.
    let scheduler = context::with("spawn_named", |ambient| {
        ambient.scheduler_for_new_task().into_owned()
    });
    let (task, handle) = task::bind_named(&scheduler, name, future);
    settle(context::with("spawn_named", |ambient| ambient.launch(task)));
    handle
}

/// As [`spawn`], with attributes, such as a tag for the scheduler's policy. A runtime ignores what it has no use for.
///
/// Cost: 8 bytes more for the task.
///
/// # Panics
/// Outside of a runtime.
pub fn spawn_with<F>(attributes: Attributes, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (handle, launched) = context::with("spawn_with", |ambient| {
        let scheduler = ambient.scheduler_for_new_task();
        let (task, handle) = task::bind_with(&scheduler, attributes, future);
        (handle, ambient.launch(task))
    });
    settle(launched);
    handle
}

/// Runs a function that blocks on the calling thread's runtime's blocking pool, or on the executor that
/// [took its place](crate::blocking::set_default_executor). asyncio's `to_thread`.
///
/// A panic stays in the handle, and dropping the handle detaches the job. Jobs begin in the order in which they came.
/// A job has no task-locals, which `to_thread` copies: capture them by
/// `TaskLocals::capture`, and have the job apply them by
/// `sync_scope`.
///
/// # Panics
/// Outside of a runtime.
#[track_caller]
pub fn spawn_blocking<F, T>(function: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    // Not in the closure: a function that is refused is dropped, and that may do anything.
    let pool = context::with("spawn_blocking", |ambient| {
        Arc::clone(ambient.blocking_pool())
    });
    pool.spawn(function)
}

/// Starts a task on a runtime that is known by its ambient side only.
#[track_caller]
pub fn spawn_on<F>(ambient: &dyn Ambient, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (task, handle) = task::bind(&ambient.scheduler_for_new_task(), future);
    settle(ambient.launch(task));
    handle
}

/// As [`spawn_on`], with attributes.
#[track_caller]
pub fn spawn_with_on<F>(
    ambient: &dyn Ambient,
    attributes: Attributes,
    future: F,
) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let scheduler = ambient.scheduler_for_new_task();
    let (task, handle) = task::bind_with(&scheduler, attributes, future);
    settle(ambient.launch(task));
    handle
}

/// As [`spawn_on`], with a name that monitors, traces and shutdown reports show.
#[track_caller]
pub fn spawn_named_on<F>(
    ambient: &dyn Ambient,
    name: impl Into<Box<str>>,
    future: F,
) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (task, handle) = task::bind_named(&ambient.scheduler_for_new_task(), name, future);
    settle(ambient.launch(task));
    handle
}

fn settle(launched: Result<(), Refused>) {
    if let Err(refused) = launched {
        refused.settle();
    }
}
