//! The plan from which a runtime is started, and the interface that starts its threads.

use std::io;
use std::sync::Arc;

use runtime_core::context::Ambient;
use runtime_core::park::Parker;
use runtime_core::reactor::Reactor;
use runtime_core::time::Clock;

use crate::policy::{Knobs, Place, SleeperView, Topology};
use crate::scheduler::queues::OwnQueues;

/// The plan of a runtime.
pub(crate) struct Plan {
    pub(crate) workers: usize,
    /// How many more workers there may be.
    pub(crate) extra_workers: usize,
    pub(crate) reactor: Arc<Reactor>,
    pub(crate) clock: Clock,
    pub(crate) rules: Rules,
    pub(crate) thread_name: String,
    /// The builder's topology. `None`: the machine's.
    pub(crate) topology: Option<Topology>,
}

/// The policy's constant answers: asked once, when the runtime was built.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) knobs: Knobs,
    /// Whether the policy lets workers take from one another.
    pub(crate) steals: bool,
    /// Whether the policy wakes a sleeper for a task in that place, by [`Place`].
    pub(crate) wakes_for: [bool; Place::KINDS.len()],
}

/// A worker that has no thread.
pub(crate) struct Unstarted {
    pub(crate) queues: OwnQueues,
    pub(crate) parker: Parker,
}

/// A runtime that can start more of its threads.
pub(crate) trait Start: Ambient {
    /// Starts a worker's thread. The caller has counted it by [`Threads::admit`](crate::ending::Threads::admit).
    fn start_worker(self: Arc<Self>, worker: Unstarted) -> io::Result<()>;

    /// Which sleeper the policy chooses. Called outside any lock.
    fn choose_sleeper(&self, sleepers: &SleeperView<'_>) -> Option<usize>;
}
