//! Threads on which a task may block directly.

use std::cell::Cell;

use runtime_core::primitives::thread_local;

thread_local! {
    /// The thread is not a worker, and no other task waits behind the one that it polls.
    static MAY_BLOCK: Cell<bool> = const { Cell::new(false) };
}

/// From now on [`block_in_place`](super::block_in_place::block_in_place) just calls its function on this thread.
pub(crate) fn let_this_thread_block() {
    MAY_BLOCK.set(true);
}

pub(super) fn may_block_on_this_thread() -> bool {
    MAY_BLOCK.try_with(Cell::get).unwrap_or(false)
}
