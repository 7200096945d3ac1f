//! The part of a loop that only its own thread touches. While the loop runs, it is found through a thread-local.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ptr;
use std::sync::Arc;

use runtime_kernel::context::{Ambient, Refused};
use runtime_kernel::task::{BlockCache, Ran, SchedulerArc, Task};
use runtime_kernel::thread_stack::in_the_middle;
use runtime_kernel::trace::{self, Fact, Queue, WorkerId};

use crate::shared::Shared;
use crate::slow_polls::Watch;

/// No cell in here stays borrowed while a task's code runs.
pub(crate) struct Local {
    pub(crate) shared: SchedulerArc<Shared>,
    pub(crate) ambient: Arc<dyn Ambient>,
    pub(crate) ready: RefCell<VecDeque<Task>>,
    pub(crate) blocks: RefCell<BlockCache>,
    pub(crate) closed: Cell<bool>,
    /// Tasks polled since the loop last published its counter.
    pub(crate) polls: Cell<u64>,
    /// Reports slow polls, if the builder was given a hook.
    pub(crate) watch: Option<Watch>,
}

thread_local! {
    static CURRENT: Cell<*const Local> = const { Cell::new(ptr::null()) };
}

/// Makes the previous loop current again when dropped.
pub(crate) struct CurrentGuard(*const Local);

impl Drop for CurrentGuard {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

impl Local {
    /// Makes this the calling thread's loop for as long as the guard lives. The guard must not outlive `self`.
    pub(crate) fn enter(&self) -> CurrentGuard {
        CurrentGuard(CURRENT.replace(self))
    }

    /// The calling thread's loop, if it is this one.
    #[inline]
    pub(crate) fn current<'a>(shared: &SchedulerArc<Shared>) -> Option<&'a Self> {
        let local = CURRENT.try_with(Cell::get).ok()?;
        // SAFETY: it is current only while `enter`'s caller keeps it alive, further up on this thread's stack. The
        // returned reference does not leave the calls that come from there.
        let local = unsafe { local.as_ref() }?;
        SchedulerArc::same(&local.shared, shared).then_some(local)
    }

    /// The loop that the calling thread runs.
    pub(crate) fn running<'a>() -> Option<&'a Self> {
        let local = CURRENT.try_with(Cell::get).ok()?;
        // SAFETY: as in `current`.
        unsafe { local.as_ref() }
    }

    pub(crate) fn push(&self, task: Task) {
        let _middle = in_the_middle();
        trace::note(Fact::Queued(task.id(), Queue::Fifo, WorkerId::NONE));
        self.ready.borrow_mut().push_back(task);
    }

    pub(crate) fn launch(&self, task: Task) -> Result<(), Refused> {
        if self.closed.get() {
            return Err(Refused { task, error: None });
        }
        self.push(task);
        Ok(())
    }

    /// Polls a task from the ready queue.
    pub(crate) fn run(&self, task: Task) {
        self.polls.set(self.polls.get() + 1);
        let ran = match &self.watch {
            None => task.run(),
            Some(watch) => watch.run(task),
        };
        if let Ran::Woken(task) | Ran::Yielded(task) = ran {
            self.push(task);
        }
    }
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Local")
            .field("ready", &self.ready.borrow().len())
            .field("closed", &self.closed.get())
            .finish_non_exhaustive()
    }
}
