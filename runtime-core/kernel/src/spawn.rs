//! Free functions over the ambient runtime.

use std::future::Future;
use std::panic::Location;
use std::sync::Arc;

use crate::context::{self, Ambient, Refused};
use crate::task::{self, Attributes, JoinHandle, SchedulerRef, Task};

/// Starts a task on the runtime that the calling thread belongs to. It runs whether or not the handle is awaited.
/// asyncio's `create_task`.
///
/// The task starts without the caller's task-locals, which asyncio copies: to pass them on, spawn `inherit``(future)`.
/// To give the task a name, see [`spawn_named`].
///
/// Fairness: the scheduler decides when the task runs, and never postpones it for ever. Cost: one block of memory for
/// the task and its future; under 1:1 also a thread.
///
/// # Panics
/// Outside a runtime.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let site = Location::caller();
    start_here("spawn", |scheduler| task::bind_at(scheduler, site, future))
}

/// Like [`spawn`], with a name that monitors, traces and shutdown reports show. asyncio's `create_task(.., name=)`.
///
/// # Panics
/// Outside a runtime.
#[track_caller]
pub fn spawn_named<F>(name: impl Into<Box<str>>, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let ambient = context::with("spawn_named", Arc::clone);
    spawn_named_on(&*ambient, name, future)
}

/// Like [`spawn`], with attributes, such as a tag for the scheduler's policy. A runtime ignores attributes that it
/// does not use.
///
/// Cost: 8 bytes more for the task.
///
/// # Panics
/// Outside a runtime.
pub fn spawn_with<F>(attributes: Attributes, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    start_here("spawn_with", |scheduler| {
        task::bind_with(scheduler, attributes, future)
    })
}

/// Runs a function that blocks, on the blocking pool of the calling thread's runtime, or on the executor that
/// [replaced it](crate::blocking::set_default_executor). asyncio's `to_thread`.
///
/// A panic goes to the handle, and dropping the handle detaches the job. Jobs begin in the order in which they were
/// queued. A job has no task-locals, which `to_thread` copies: capture them with `TaskLocals::capture`, and apply them
/// in the job with `sync_scope`.
///
/// # Panics
/// Outside a runtime.
#[track_caller]
pub fn spawn_blocking<F, T>(function: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    // Not in the closure: a refused function is dropped, and its destructor may do anything.
    let pool = context::with("spawn_blocking", |ambient| {
        Arc::clone(ambient.blocking_pool())
    });
    pool.spawn(function)
}

/// Starts a task on a runtime of which you only have the ambient.
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

/// Like [`spawn_on`], with attributes.
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

/// Like [`spawn_on`], with a name that monitors, traces and shutdown reports show.
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

/// Like [`spawn_on`], for a task that stays on the worker that begins it: see [`task::home`]. A name comes with the
/// place of the spawn.
pub fn spawn_pinnable_on<F>(
    ambient: &dyn Ambient,
    name: Option<(Box<str>, &'static Location<'static>)>,
    attributes: Attributes,
    future: F,
) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let scheduler = ambient.scheduler_for_new_task();
    let (task, handle) = task::bind_pinnable(&scheduler, name, attributes, future);
    settle(ambient.launch(task));
    handle
}

/// Starts the task that `bind` returns on the calling thread's runtime. `bind` gets the scheduler for it.
///
/// # Panics
/// Outside a runtime; `what` names the called function in the message.
#[inline]
fn start_here<T>(
    what: &str,
    bind: impl FnOnce(&SchedulerRef) -> (Task, JoinHandle<T>),
) -> JoinHandle<T> {
    let (handle, launched) = context::with(what, |ambient| {
        let (task, handle) = bind(&ambient.scheduler_for_new_task());
        if ambient.has_thread_per_task() {
            return (handle, Err((Arc::clone(ambient), task)));
        }
        // Within the borrow: cloning the reference would cost more than the rest of a spawn.
        (handle, Ok(ambient.launch(task)))
    });
    // Outside it: after a refused thread, simulated time may pass, and then wakers run.
    settle(launched.unwrap_or_else(|(ambient, task)| ambient.launch(task)));
    handle
}

fn settle(launched: Result<(), Refused>) {
    if let Err(refused) = launched {
        refused.settle();
    }
}
