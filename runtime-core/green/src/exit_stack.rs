//! Where a thread leaves an overflowed stack, which has no room left itself.

use std::cell::Cell;

thread_local! {
    /// The top of the exit stack; 0 if the thread has none.
    static TOP: Cell<usize> = const { Cell::new(0) };
}

/// The top of the calling thread's exit stack; 0 if it has none. Async-signal-safe.
#[inline]
pub(crate) fn top() -> usize {
    TOP.get()
}

/// Sets the top of the calling thread's exit stack; 0: none.
pub(crate) fn set_top(top: usize) {
    TOP.set(top);
}
