//! What a runtime is started with.

use std::sync::Arc;

use runtime_core::reactor::Reactor;
use runtime_core::time::Clock;

use crate::policy::{Knobs, Place, Topology};

/// What a runtime is started with.
pub(crate) struct Plan {
    pub(crate) workers: usize,
    /// How many more workers there may be.
    pub(crate) extra_workers: usize,
    pub(crate) reactor: Arc<Reactor>,
    pub(crate) clock: Clock,
    pub(crate) knobs: Knobs,
    pub(crate) steals: bool,
    pub(crate) wakes_for: [bool; Place::KINDS.len()],
    pub(crate) thread_name: String,
    /// What the builder was told; the machine's if nothing.
    pub(crate) topology: Option<Topology>,
}
