//! The default.

use crate::Policy;

/// A deque for each worker, a LIFO slot that is stolen only from a stuck worker, batch steals, at most half of the
/// workers searching. As Go's scheduler, but for one choice: what a task spawns is run newest first, as in Cilk, while
/// Go's queue is first come, first served behind its one `runnext` slot. Newest first is worth a factor of two on
/// trees of tasks.
///
/// Sources: Go, `runtime/proc.go`; Blumofe and Leiserson, "Scheduling multithreaded computations by work stealing",
/// 1999.
#[derive(Clone, Copy, Debug, Default)]
pub struct GoLike;

impl Policy for GoLike {
    fn name(&self) -> &'static str {
        "go-like"
    }
}
