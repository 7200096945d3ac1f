//! The machine and the time, as seen by policies.

use std::time::Instant;

use runtime_core::time::Clock;
use runtime_policy::Topology;

use crate::topology;

/// What a policy knows about the machine and the time.
pub(crate) struct Surroundings {
    topology: Option<Topology>,
    clock: Clock,
    /// The zero of the times that policies see.
    epoch: Instant,
}

impl Surroundings {
    pub(crate) fn new(topology: Option<Topology>, clock: Clock) -> Self {
        Self {
            topology,
            epoch: clock.now(),
            clock,
        }
    }

    /// The processors of the workers: the builder's, or else the machine's. Only some policies ask.
    pub(crate) fn topology(&self) -> &Topology {
        let chosen = self.topology.as_ref();
        chosen.unwrap_or_else(|| topology::machine())
    }

    /// Nanoseconds since the runtime was built, by its clock.
    pub(crate) fn now_ns(&self) -> u64 {
        let passed = self.clock.now().saturating_duration_since(self.epoch);
        u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX)
    }
}
