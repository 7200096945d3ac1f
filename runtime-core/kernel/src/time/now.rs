//! The current time of the calling thread's runtime.

use std::time::Instant;

use super::clock::now_by;
use crate::context;

/// The present instant by the clock of the runtime that the calling thread works for; outside a runtime, the system's.
/// asyncio's `loop.time()`.
///
/// ```
/// let before = runtime_core::time::now();
/// assert!(runtime_core::time::now() >= before);
/// ```
#[inline]
pub fn now() -> Instant {
    now_by(|| context::try_with(|ambient| ambient.clock().clone()))
}
