//! What a thread runs, and how deep it is in its contexts.
//!
//! The task cell and the code that blocks threads need no more of a context than this, and lie below it. So these two
//! numbers are kept apart from the contexts themselves, which refer to tasks.

use std::cell::Cell;

use crate::primitives::thread_local;

/// What a thread runs for the runtime that it is in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Runs {
    /// No task, so it may block.
    Nothing,
    /// Several tasks that take turns.
    Tasks,
    /// One task (1:1), which waits by blocking the thread.
    OneTask,
}

/// Leaves those contexts of the calling thread whose numbers are greater than the given one.
pub(super) type Leave = fn(u64);

thread_local! {
    /// What the thread runs, by its innermost context. A copy, because each operation that waits asks for it.
    static RUNS: Cell<Runs> = const { Cell::new(Runs::Nothing) };
    /// The number of the innermost context; 0 outside all contexts.
    static NUMBER: Cell<u64> = const { Cell::new(0) };
    /// Set by the first context. Before that there is nothing to leave.
    static LEAVE: Cell<Leave> = const { Cell::new(|_| {}) };
}

/// From now on the context `number` is the innermost one.
pub(super) fn set_innermost(number: u64, runs: Runs, leave: Leave) {
    NUMBER.set(number);
    RUNS.set(runs);
    LEAVE.set(leave);
}

/// The number of the innermost context; 0 outside all contexts.
#[inline]
pub(super) fn innermost() -> u64 {
    // A thread that has destroyed its thread-locals is in no runtime, and stays so.
    NUMBER.try_with(Cell::get).unwrap_or(0)
}

#[inline]
pub(super) fn runs() -> Runs {
    RUNS.try_with(Cell::get).unwrap_or(Runs::Nothing)
}

/// True on a thread that is running tasks.
#[inline]
pub fn in_task() -> bool {
    runs() != Runs::Nothing
}

/// Panics if the calling thread runs tasks: blocking it would stop all of them.
///
/// # Panics
/// Inside a task; the message says what to use instead.
pub fn assert_may_block(what: &str, instead: &str) {
    assert!(
        !in_task(),
        "`{what}` would block a thread that is running tasks: {instead}"
    );
}

/// The depth of a thread's stack of contexts before a poll.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Depth(u64);

impl Depth {
    #[inline]
    pub(crate) fn now() -> Self {
        Self(innermost())
    }

    /// Leaves the contexts that were entered since then and not left: the poll has kept a guard, or has forgotten it.
    #[inline]
    pub(crate) fn restore(self) {
        if innermost() != self.0 {
            self.leave_the_rest();
        }
    }

    #[cold]
    fn leave_the_rest(self) {
        LEAVE.get()(self.0);
    }
}

/// Calls `code`, which is not ours. Whatever runtimes it enters and does not leave, the thread is afterwards back in
/// the context that it was in before.
///
/// Wakers are called in this way (see [`SavedWaker`](crate::saved_waker::SavedWaker)). After each poll of a task, the
/// task cell does the same.
#[inline]
pub fn stay_in<R>(code: impl FnOnce() -> R) -> R {
    struct Back(Depth);
    impl Drop for Back {
        #[inline]
        fn drop(&mut self) {
            self.0.restore();
        }
    }
    let _back = Back(Depth::now());
    code()
}
