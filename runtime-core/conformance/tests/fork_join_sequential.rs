//! The reference fork-join keeps the same contract as the parallel ones.

use runtime_core::Sequential;
use runtime_core::testing::fork_join::ForkJoinSubject;

struct InOrder;

impl ForkJoinSubject for InOrder {
    type ForkJoin = Sequential;

    fn start() -> Self {
        Self
    }

    fn fork_join(&self) -> Sequential {
        Sequential
    }
}

runtime_core::fork_join_conformance!(InOrder);
