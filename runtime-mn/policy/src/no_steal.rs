//! No stealing: each worker runs its own tasks.

use core::iter::once;

use crate::{Attempt, Policy, SearchView};

/// A task stays with the worker that spawned or woke it, and workers take nothing from each other; only injected
/// tasks are shared. No cache line of a queue ever moves, but one busy worker can leave the others idle. It shows
/// what work stealing is for.
///
/// (The monitor still hands off the queues of a worker that is stuck in a poll.)
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSteal;

impl Policy for NoSteal {
    fn name(&self) -> &'static str {
        "no-steal"
    }

    fn steals(&self) -> bool {
        false
    }

    fn search(&self, _: &SearchView<'_>) -> impl Iterator<Item = Attempt> {
        once(Attempt::Injected)
    }
}
