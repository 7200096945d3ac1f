//! What a thread knows of the runtime that it runs for: the ambient context.
//!
//! A scheduler enters its context once per worker thread (per `run` under N:1), not once per poll. Sockets, timers and
//! the free functions [`spawn`](crate::spawn()), [`sleep`](crate::sleep) and so on find their runtime through it. Code
//! generic over `Runtime` needs none of it.

use std::cell::{Cell, RefCell};
use std::io;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::sync::Arc;

use crate::blocking::BlockingPool;
use crate::budget;
use crate::primitives::thread_local;
use crate::task::{SchedulerRef, Task};
use crate::time::{Clock, TimerShard};

pub use crate::reactor::IoDriver;

/// A runtime as the code on its threads sees it.
pub trait Ambient: Send + Sync + 'static {
    /// The runtime's short name, for messages.
    fn name(&self) -> &'static str;

    /// The scheduler that a new task is to be bound to. Under 1:1 that is a new one for each task.
    fn scheduler_for_new_task(&self) -> Binding<'_>;

    /// Starts a task that was bound to [`scheduler_for_new_task`](Ambient::scheduler_for_new_task).
    ///
    /// # Errors
    /// Gives the task back if the runtime has shut down or the system gives no thread. The caller settles it, outside
    /// of any lock: that runs the user's destructors.
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

    /// Whether each task has a thread of its own (1:1), so that what is polled in a task is waited for by blocking
    /// that thread.
    fn has_thread_per_task(&self) -> bool {
        false
    }

    /// Whether file operations run on the calling thread (1:1) rather than in the blocking pool.
    fn files_inline(&self) -> bool {
        false
    }
}

/// What a new task is bound to. Where all tasks have the same scheduler it is lent, as counting would cost more than
/// the rest of a spawn.
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

/// What a thread that has entered a context is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It runs tasks: blocking entry points panic here.
    Worker,
    /// It belongs to the runtime but may block: a blocking-pool thread, or one that called `enter`.
    NonWorker,
}

impl Role {
    /// The former name of [`Role::NonWorker`].
    #[deprecated(note = "it is called `Role::NonWorker`")]
    #[allow(non_upper_case_globals)]
    pub const Guest: Self = Self::NonWorker;
}

/// One entry of a thread's stack of contexts.
struct Entered {
    /// What tells it from the others of its thread; counted up from 1.
    number: u64,
    ambient: Arc<dyn Ambient>,
    role: Role,
}

/// What a thread runs for the runtime that it is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Runs {
    /// No task: it may block.
    Nothing,
    /// Tasks, which take turns.
    Tasks,
    /// One task (1:1), which waits by blocking the thread.
    OneTask,
}

impl Entered {
    fn runs(&self) -> Runs {
        match self.role {
            Role::NonWorker => Runs::Nothing,
            Role::Worker if self.ambient.has_thread_per_task() => Runs::OneTask,
            Role::Worker => Runs::Tasks,
        }
    }
}

/// A thread's contexts. It has no destructor, so that it can be used while the thread's other thread-locals are
/// destroyed: a runtime may be made and dropped there. Nothing is left in it then, as each entry goes with its guard.
struct Current {
    innermost: RefCell<ManuallyDrop<Option<Entered>>>,
    /// Those around it, the outermost first. Empty, it has no memory.
    outer: RefCell<ManuallyDrop<Vec<Entered>>>,
    /// What the innermost one makes of the thread. A copy, as each operation that waits asks for it.
    runs: Cell<Runs>,
    /// The innermost one's number; 0 outside of all.
    number: Cell<u64>,
    /// The last number that was given out.
    last: Cell<u64>,
}

thread_local! {
    static CURRENT: Current = const {
        Current {
            innermost: RefCell::new(ManuallyDrop::new(None)),
            outer: RefCell::new(ManuallyDrop::new(Vec::new())),
            runs: Cell::new(Runs::Nothing),
            number: Cell::new(0),
            last: Cell::new(0),
        }
    };
}

impl Current {
    fn push(&self, ambient: Arc<dyn Ambient>, role: Role) -> u64 {
        let number = self.last.get() + 1;
        self.last.set(number);
        let entered = Entered {
            number,
            ambient,
            role,
        };
        if let Some(around) = self.set_innermost(Some(entered)) {
            self.outer.borrow_mut().push(around);
        }
        number
    }

    fn set_innermost(&self, entered: Option<Entered>) -> Option<Entered> {
        self.runs
            .set(entered.as_ref().map_or(Runs::Nothing, Entered::runs));
        self.number
            .set(entered.as_ref().map_or(0, |entered| entered.number));
        std::mem::replace(&mut **self.innermost.borrow_mut(), entered)
    }

    fn pop(&self) -> Option<Entered> {
        let around = {
            let mut outer = self.outer.borrow_mut();
            let around = outer.pop();
            if outer.is_empty() {
                // The thread may end at any time.
                **outer = Vec::new();
            }
            around
        };
        self.set_innermost(around)
    }

    /// Takes the entry out, wherever it stands; none if it is not there any more.
    fn remove(&self, number: u64) -> Option<Entered> {
        if self.number.get() == number {
            return self.pop();
        }
        let mut outer = self.outer.borrow_mut();
        let place = outer.iter().rposition(|entered| entered.number == number)?;
        let removed = outer.remove(place);
        if outer.is_empty() {
            **outer = Vec::new();
        }
        Some(removed)
    }
}

/// Leaves the context when it is dropped. The thread is then in the one that it had entered before and not left since:
/// guards may be dropped in any order.
///
/// In a task, a guard holds until the end of the poll, and no longer: held over an `await`, it has no effect after it.
/// The scheduler sees to that, as the thread's other tasks would find themselves in the wrong runtime.
#[must_use = "the context is left when the guard is dropped"]
pub struct EnterGuard {
    number: u64,
    // The guard must be dropped on the thread that it was made on.
    _not_send: PhantomData<*const ()>,
}

/// Makes `ambient` the calling thread's runtime until the guard is dropped. A thread that runs a task is a worker
/// wherever it goes: whatever it enters, it must not block.
pub fn enter(ambient: Arc<dyn Ambient>, role: Role) -> EnterGuard {
    let role = if in_task() { Role::Worker } else { role };
    EnterGuard::push(ambient, role)
}

impl EnterGuard {
    fn push(ambient: Arc<dyn Ambient>, role: Role) -> Self {
        Self {
            number: CURRENT.with(|current| current.push(ambient, role)),
            _not_send: PhantomData,
        }
    }
}

impl Drop for EnterGuard {
    fn drop(&mut self) {
        let left = CURRENT.try_with(|current| current.remove(self.number));
        // Dropped outside of the borrows: it may be the runtime's last reference.
        drop(left);
    }
}

/// Where a thread stands in its stack of contexts before a poll.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Depth(u64);

impl Depth {
    /// A thread that is past its thread-locals is in no runtime, and stays so.
    #[inline]
    pub(crate) fn now() -> Self {
        Self(
            CURRENT
                .try_with(|current| current.number.get())
                .unwrap_or(0),
        )
    }

    /// Leaves what was entered since and not left: the poll has kept a guard, or has forgotten it.
    #[inline]
    pub(crate) fn restore(self) {
        if CURRENT
            .try_with(|current| current.number.get() != self.0)
            .unwrap_or(false)
        {
            self.leave_the_rest();
        }
    }

    #[cold]
    fn leave_the_rest(self) {
        // Numbers only grow, and what was entered later stands further in.
        while let Some(left) = CURRENT
            .with(|current| (current.number.get() > self.0).then(|| current.pop()))
            .flatten()
        {
            drop(left);
        }
    }
}

/// Calls `f` with the calling thread's runtime; `None` outside of one. `f` must not enter or leave a runtime, and so
/// must not run users' code, destructors included.
pub fn try_with<R>(f: impl FnOnce(&Arc<dyn Ambient>) -> R) -> Option<R> {
    CURRENT
        .try_with(|current| {
            let innermost = current.innermost.borrow();
            innermost.as_ref().map(|entered| f(&entered.ambient))
        })
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

/// Calls `function` on a thread that may block meanwhile, although it is running a task: the caller has seen to it
/// that no other task waits for this thread.
pub fn as_non_worker<R>(function: impl FnOnce() -> R) -> R {
    // It may poll on its own account, and its task's budget is not renewed meanwhile.
    let _lifted = budget::lift();
    match try_with(Arc::clone) {
        Some(ambient) => {
            /// What `function` has entered and not left ends with it: the thread is a worker again.
            struct Leave(Depth);
            impl Drop for Leave {
                fn drop(&mut self) {
                    self.0.restore();
                }
            }
            // Dropped after the guard of the non-worker context.
            let _leave = Leave(Depth::now());
            let _non_worker = EnterGuard::push(ambient, Role::NonWorker);
            function()
        }
        None => function(),
    }
}

/// The former name of [`as_non_worker`].
#[deprecated(note = "it is called `as_non_worker`")]
pub fn as_guest<R>(function: impl FnOnce() -> R) -> R {
    as_non_worker(function)
}

#[inline]
fn runs() -> Runs {
    CURRENT
        .try_with(|current| current.runs.get())
        .unwrap_or(Runs::Nothing)
}

/// True on a thread that is running tasks.
pub fn in_task() -> bool {
    runs() != Runs::Nothing
}

/// True if what is polled on the calling thread is waited for by blocking that thread: in a task of 1:1, and in
/// `block_on_current_thread`. Those may be overtaken: see [`OVERTAKEN_FOR`](crate::capabilities::OVERTAKEN_FOR).
#[inline]
pub fn waits_as_thread() -> bool {
    match runs() {
        Runs::Nothing => crate::park::is_blocked_on(),
        Runs::Tasks => false,
        Runs::OneTask => true,
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
