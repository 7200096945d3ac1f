//! What a thread knows of the runtime that it runs for: the ambient context.
//!
//! A scheduler enters its context once per worker thread (per `run` under N:1), not once per poll. Sockets, timers and the free
//! functions [`spawn`](crate::spawn), [`sleep`](crate::sleep) and so on find their runtime through it. Code generic over
//! [`Runtime`](crate::Runtime) needs none of it.

use std::cell::{Cell, RefCell};
use std::io;
use std::sync::Arc;

use crate::blocking::BlockingPool;
use crate::primitives::thread_local;
use crate::reactor::Reactor;
use crate::task::{SchedulerRef, Task};
use crate::time::{Clock, TimerShard};

/// A runtime as the code on its threads sees it.
pub trait Ambient: Send + Sync + 'static {
    /// The runtime's short name, for messages.
    fn name(&self) -> &'static str;

    /// The scheduler that a new task is to be bound to. Under 1:1 that is a new one for each task.
    fn scheduler_for_new_task(&self) -> Binding<'_>;

    /// Starts a task that was bound to [`scheduler_for_new_task`](Ambient::scheduler_for_new_task).
    ///
    /// # Errors
    /// Gives the task back if the runtime has shut down or the system gives no thread. The caller settles it, outside of any
    /// lock: that runs the user's destructors.
    fn launch(&self, task: Task) -> Result<(), Refused>;

    /// How a socket made on this thread waits for readiness.
    fn io_driver(&self) -> IoDriver;

    /// Where a timer polled on the current thread is kept: the worker's own shard on a worker, some shard elsewhere.
    fn timer_shard(&self) -> Arc<TimerShard>;

    /// What its timers go by.
    fn clock(&self) -> &Clock {
        static REAL: Clock = Clock::real();
        &REAL
    }

    /// Where blocking functions run.
    fn blocking_pool(&self) -> &Arc<BlockingPool>;

    /// Whether each task has a thread of its own (1:1), so that what is polled in a task is waited for by blocking that thread.
    fn has_thread_per_task(&self) -> bool {
        false
    }

    /// Whether file operations run on the calling thread (1:1) rather than in the blocking pool.
    fn files_inline(&self) -> bool {
        false
    }
}

/// What a new task is bound to. Where all tasks have the same scheduler it is lent, as counting would cost more than the rest of a
/// spawn.
#[derive(Debug)]
pub enum Binding<'a> {
    /// The scheduler of all tasks (N:1, M:N).
    Shared(&'a SchedulerRef),
    /// This task's own (1:1).
    Own(SchedulerRef),
}

impl Binding<'_> {
    /// A reference to keep.
    pub fn into_owned(self) -> SchedulerRef {
        match self {
            Self::Shared(scheduler) => scheduler.clone(),
            Self::Own(scheduler) => scheduler,
        }
    }
}

impl std::ops::Deref for Binding<'_> {
    type Target = SchedulerRef;
    fn deref(&self) -> &SchedulerRef {
        match self {
            Self::Shared(scheduler) => scheduler,
            Self::Own(scheduler) => scheduler,
        }
    }
}

/// A task that a runtime did not start.
#[must_use = "its handle waits until it is settled"]
#[derive(Debug)]
pub struct Refused {
    /// The task.
    pub task: Task,
    /// What the system said; none if the runtime has shut down.
    pub error: Option<io::Error>,
}

impl Refused {
    /// Drops the future; the handle reports why.
    pub fn settle(self) {
        match self.error {
            Some(error) => self.task.fail_to_start(error),
            None => self.task.cancel(),
        }
    }
}

/// How sockets wait.
#[derive(Clone)]
pub enum IoDriver {
    /// Registered once, edge-triggered, with a reactor that the scheduler polls (N:1, M:N).
    Reactor(Arc<Reactor>),
    /// The task's own thread waits in `poll(2)` (1:1).
    OwnThread,
}

/// What a thread that has entered a context is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It runs tasks: blocking entry points panic here.
    Worker,
    /// It belongs to the runtime but may block: a blocking-pool thread, or one that called `enter`.
    Guest,
}

struct Current {
    ambient: RefCell<Option<Arc<dyn Ambient>>>,
    role: Cell<Option<Role>>,
}

thread_local! {
    static CURRENT: Current = const { Current { ambient: RefCell::new(None), role: Cell::new(None) } };
}

type Previous = (Option<Arc<dyn Ambient>>, Option<Role>);

/// Restores the previous context when dropped.
#[must_use = "the context is left when the guard is dropped"]
pub struct EnterGuard {
    previous: Option<Previous>,
    // The guard must be dropped on the thread that it was made on.
    _not_send: std::marker::PhantomData<*const ()>,
}

/// Makes `ambient` the calling thread's runtime until the guard is dropped.
pub fn enter(ambient: Arc<dyn Ambient>, role: Role) -> EnterGuard {
    CURRENT.with(|current| EnterGuard {
        previous: Some((
            current.ambient.replace(Some(ambient)),
            current.role.replace(Some(role)),
        )),
        _not_send: std::marker::PhantomData,
    })
}

impl Drop for EnterGuard {
    fn drop(&mut self) {
        if let Some((ambient, role)) = self.previous.take() {
            // The thread may be past the destruction of its thread-locals: then there is nothing to restore.
            let left = CURRENT.try_with(|current| {
                current.role.set(role);
                current.ambient.replace(ambient)
            });
            // Dropped outside of the borrow: it may be the runtime's last reference.
            drop(left);
        }
    }
}

/// Calls `f` with the calling thread's runtime; `None` outside of one.
pub fn try_with<R>(f: impl FnOnce(&Arc<dyn Ambient>) -> R) -> Option<R> {
    CURRENT
        .try_with(|current| current.ambient.borrow().as_ref().map(f))
        .ok()
        .flatten()
}

/// Calls `f` with the calling thread's runtime.
///
/// # Panics
/// Outside of a runtime; `what` names the function that was called, for the message.
pub fn with<R>(what: &str, f: impl FnOnce(&Arc<dyn Ambient>) -> R) -> R {
    try_with(f).unwrap_or_else(|| {
        panic!(
            "`{what}` was called outside of a runtime: call it from a task (`block_on`, `spawn`), or enter the runtime with `handle.enter()`"
        )
    })
}

/// Calls `function` on a thread that may block meanwhile, although it is running a task: the caller has seen to it that no other
/// task waits for this thread.
pub fn as_guest<R>(function: impl FnOnce() -> R) -> R {
    match try_with(Arc::clone) {
        Some(ambient) => {
            let _guest = enter(ambient, Role::Guest);
            function()
        }
        None => function(),
    }
}

/// True on a thread that is running tasks.
pub fn in_task() -> bool {
    CURRENT
        .try_with(|current| current.role.get() == Some(Role::Worker))
        .unwrap_or(false)
}

/// True if what is polled on the calling thread is waited for by blocking that thread: in a task of 1:1, and in `block_on_current_thread`.
pub(crate) fn waits_as_thread() -> bool {
    if in_task() {
        try_with(|ambient| ambient.has_thread_per_task()).unwrap_or(false)
    } else {
        crate::park::is_blocked_on()
    }
}

/// Panics if the calling thread is running tasks: blocking it would hold up all of them.
///
/// # Panics
/// Inside of a task; the message says what to use instead.
pub fn assert_may_block(what: &str, instead: &str) {
    assert!(
        !in_task(),
        "`{what}` would block a thread that is running tasks: {instead}"
    );
}
