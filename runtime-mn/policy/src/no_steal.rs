//! Each worker its own.

use core::iter::once;

use crate::{Attempt, Policy, SearchView};

/// A task stays with the worker that spawned or woke it, and nobody takes from another's queue; only what other
/// threads inject is shared out. No cache line of a queue ever moves, and one busy worker can leave the others idle:
/// what work stealing is for.
///
/// (A worker that is stuck in a poll is relieved by the monitor all the same.)
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
