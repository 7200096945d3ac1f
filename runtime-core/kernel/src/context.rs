//! The ambient context: what a thread knows about its runtime.
//!
//! A scheduler enters its context once per worker thread (per `run` under N:1), not once per poll. Sockets, timers
//! and the free functions [`spawn`](crate::spawn()), [`sleep`](crate::sleep) and so on find their runtime through it.
//! Code that is generic over `Runtime` needs none of this.

mod standing;

use std::cell::{Cell, RefCell};
use std::io;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::sync::Arc;

use crate::blocking::{BlockingPool, JobContext};
use crate::budget;
use crate::primitives::thread_local;
use crate::task::{SchedulerRef, Task};
use crate::thread_stack::{self, in_the_middle};
use crate::time::{Clock, TimerShard};

use standing::Runs;

pub use crate::reactor::IoDriver;
pub(crate) use standing::Depth;
pub use standing::{assert_may_block, in_task, stay_in};

/// A runtime, as seen by the code on its threads.
pub trait Ambient: JobContext + Send + Sync + 'static {
    /// The runtime's short name, for messages.
    fn name(&self) -> &'static str;

    /// The scheduler that a new task is bound to. Under 1:1 each task gets a new one.
    fn scheduler_for_new_task(&self) -> Binding<'_>;

    /// Starts a task that was bound to [`scheduler_for_new_task`](Ambient::scheduler_for_new_task).
    ///
    /// # Errors
    /// Returns the task if the runtime has shut down or the system refuses a thread. The caller then ends the task,
    /// outside any lock, because that runs the user's destructors.
    fn launch(&self, task: Task) -> Result<(), Refused>;

    /// How a socket that is created on this thread waits for readiness.
    fn io_driver(&self) -> IoDriver;

    /// Where a timer polled on the current thread is kept: the worker's own shard on a worker, some shard elsewhere.
    fn timer_shard(&self) -> Arc<TimerShard>;

    /// The clock of its timers.
    fn clock(&self) -> &Clock {
        static REAL: Clock = Clock::real();
        &REAL
    }

    /// Where blocking functions run.
    fn blocking_pool(&self) -> &Arc<BlockingPool>;

    /// Whether each task has its own thread (1:1). A future that is polled in a task then waits by blocking that
    /// thread.
    fn has_thread_per_task(&self) -> bool {
        false
    }

    /// Whether a runtime with a thread per task has shut down. Its threads must then end.
    fn has_ended(&self) -> bool {
        false
    }

    /// Whether file operations run on the calling thread (1:1) rather than in the blocking pool.
    fn files_inline(&self) -> bool {
        false
    }
}

/// What a new task is bound to. Where all tasks have the same scheduler, the reference is lent, because counting it
/// would cost more than the rest of a spawn.
#[derive(Debug)]
pub enum Binding<'a> {
    /// The scheduler of all tasks (N:1, M:N).
    Shared(&'a SchedulerRef),
    /// This task's own scheduler (1:1).
    Own(SchedulerRef),
}

impl Binding<'_> {
    /// A reference that you can keep.
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
    /// The system's error; `None` if the runtime has shut down.
    pub error: Option<io::Error>,
}

impl Refused {
    /// Drops the future. The handle then reports the reason.
    pub fn settle(self) {
        match self.error {
            Some(error) => self.task.fail_to_start(error),
            None => self.task.cancel(),
        }
    }
}

/// The role of a thread within a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It runs tasks, so blocking entry points panic here.
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
    /// Identifies the entry among those of its thread. Counts from 1.
    number: u64,
    ambient: Arc<dyn Ambient>,
    role: Role,
    /// It was entered by code of a task, and not by a scheduler.
    by_task: bool,
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

/// A thread's contexts. It has no destructor, so that you can use it while the thread's other thread-locals are
/// destroyed: a runtime may be created and dropped there. Nothing is leaked, because each entry goes away with its
/// guard.
struct Current {
    innermost: RefCell<ManuallyDrop<Option<Entered>>>,
    /// The contexts around it, outermost first. While it is empty, it owns no memory.
    outer: RefCell<ManuallyDrop<Vec<Entered>>>,
    /// The last number that was assigned.
    last: Cell<u64>,
}

thread_local! {
    static CURRENT: Current = const {
        Current {
            innermost: RefCell::new(ManuallyDrop::new(None)),
            outer: RefCell::new(ManuallyDrop::new(Vec::new())),
            last: Cell::new(0),
        }
    };
}

impl Current {
    fn push(&self, ambient: Arc<dyn Ambient>, role: Role) -> u64 {
        let _middle = in_the_middle();
        let number = self.last.get() + 1;
        self.last.set(number);
        let entered = Entered {
            number,
            ambient,
            role,
            by_task: in_task(),
        };
        if let Some(around) = self.set_innermost(Some(entered)) {
            self.outer.borrow_mut().push(around);
        }
        number
    }

    fn set_innermost(&self, entered: Option<Entered>) -> Option<Entered> {
        let number = entered.as_ref().map_or(0, |entered| entered.number);
        let runs = entered.as_ref().map_or(Runs::Nothing, Entered::runs);
        // First, because it may panic: the two copies must agree.
        let before = match self.innermost.try_borrow_mut() {
            Ok(mut innermost) => std::mem::replace(&mut **innermost, entered),
            Err(_) => entered_in_between(),
        };
        standing::set_innermost(number, runs, leave_beyond);
        before
    }

    fn pop(&self) -> Option<Entered> {
        let _middle = in_the_middle();
        let around = {
            let mut outer = self.outer.borrow_mut();
            let around = outer.pop();
            if outer.is_empty() {
                // The thread may end at any time, and nobody would free the memory.
                **outer = Vec::new();
            }
            around
        };
        self.set_innermost(around)
    }

    fn is_by_task(&self) -> bool {
        let innermost = self.innermost.borrow();
        innermost.as_ref().is_some_and(|entered| entered.by_task)
    }

    /// Removes the entry, wherever it is in the stack; `None` if it has gone already.
    fn remove(&self, number: u64) -> Option<Entered> {
        if standing::innermost() == number {
            return self.pop();
        }
        let _middle = in_the_middle();
        let mut outer = self.outer.borrow_mut();
        let place = outer.iter().rposition(|entered| entered.number == number)?;
        let removed = outer.remove(place);
        if outer.is_empty() {
            **outer = Vec::new();
        }
        Some(removed)
    }
}

#[cold]
fn entered_in_between() -> ! {
    panic!(
        "a runtime was entered by code that the runtime calls while it starts a task, such as a policy: enter it \
         before or after"
    )
}

/// Leaves the context when it is dropped. The thread is then in the context that it entered before and has not left:
/// you may drop guards in any order.
///
/// In a task, a guard has an effect only until the end of the poll. If you hold it across an `await`, it has no effect
/// afterwards. The scheduler ensures this, because the thread's other tasks would otherwise run in the wrong runtime.
#[must_use = "the context is left when the guard is dropped"]
pub struct EnterGuard {
    number: u64,
    // The guard must be dropped on the thread that created it.
    _not_send: PhantomData<*const ()>,
}

/// Makes `ambient` the calling thread's runtime until the guard is dropped. A thread that runs a task stays a worker,
/// whatever it enters: it must not block.
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
        // Dropped outside the borrows: it may be the last reference to the runtime.
        drop(left);
    }
}

/// Leaves the calling thread's contexts with greater numbers. Numbers only grow, so contexts that were entered later
/// have greater ones.
///
/// On the stack of a green task, the number may be older than the present poll: the task was suspended since. The
/// scheduler may have entered its context anew meanwhile, and stays in it.
fn leave_beyond(number: u64) {
    let is_green = !thread_stack::other().is_null();
    let pop = |current: &Current| {
        let leaves = standing::innermost() > number && (!is_green || current.is_by_task());
        leaves.then(|| current.pop())
    };
    while let Some(left) = CURRENT.with(pop).flatten() {
        drop(left);
    }
}

/// Calls `f` with the calling thread's runtime; returns `None` outside one. `f` must not enter or leave a runtime, and
/// must not run users' code, destructors included.
pub fn try_with<R>(f: impl FnOnce(&Arc<dyn Ambient>) -> R) -> Option<R> {
    CURRENT
        .try_with(|current| {
            let _middle = in_the_middle();
            let innermost = current.innermost.borrow();
            innermost.as_ref().map(|entered| f(&entered.ambient))
        })
        .ok()
        .flatten()
}

/// Calls `f` with the calling thread's runtime.
///
/// # Panics
/// Outside a runtime; `what` names the called function in the message.
pub fn with<R>(what: &str, f: impl FnOnce(&Arc<dyn Ambient>) -> R) -> R {
    try_with(f).unwrap_or_else(|| {
        panic!(
            "`{what}` was called outside of a runtime: call it from a task (`block_on`, `spawn`), or enter the runtime with `handle.enter()`"
        )
    })
}

/// Calls `function` on a thread that may block meanwhile, although it runs a task: the caller has ensured that no
/// other task waits for this thread.
pub fn as_non_worker<R>(function: impl FnOnce() -> R) -> R {
    // `function` may poll on its own account, and nobody renews the task's budget meanwhile.
    let _lifted = budget::lift();
    match try_with(Arc::clone) {
        Some(ambient) => {
            /// Leaves what `function` entered and did not leave: the thread is a worker again.
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

/// True if a future that is polled on the calling thread waits by blocking that thread: in a task of 1:1, and in
/// `block_on_current_thread`. Such waiters may be overtaken: see
/// [`OVERTAKEN_FOR`](crate::capabilities::OVERTAKEN_FOR).
#[inline]
pub fn waits_as_thread() -> bool {
    match standing::runs() {
        Runs::Nothing => crate::park::is_blocked_on(),
        Runs::Tasks => false,
        Runs::OneTask => true,
    }
}
