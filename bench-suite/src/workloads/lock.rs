//! `lock`: one task locks and unlocks an async mutex that nobody else wants.
//!
//! Nothing is scheduled: it is what a lock costs as long as it is not needed. Each runtime uses its own mutex, as
//! [`primitives`](super::primitives) pairs them.
//!
//! One op is a lock and an unlock. The check: the number in the lock counts them.

use runtime_core::Runtime;

use super::primitives::{Primitives, Synchronised};
use super::{check, size};
use crate::measure::Meter;
use crate::repetitions::Repetitions;
use crate::vocabulary::{Failure, Group, Mode, Params, Workload};

/// A lock that nobody else wants.
pub struct Lock;

impl Synchronised for Lock {
    const INFO: Workload = Workload {
        name: "lock",
        group: Group::Scheduling,
        mode: Mode::Batch,
        about: "one task locks and unlocks a mutex: what a lock costs while nobody else wants it",
        op: "one lock and unlock",
        parameters: &[size("locks", 100_000, 1, 1_000_000_000)],
        metric: "wall_ns_per_op",
    };

    async fn run<K: Primitives, R: Runtime>(
        _rt: R,
        params: &Params,
        meter: &mut Meter,
    ) -> Result<(), Failure> {
        let locks = params.value("size");
        let mut repetitions = Repetitions::new(params.budget_ns);
        while repetitions.next(meter) {
            let mutex = K::mutex();
            for _ in 0..locks {
                *K::lock(&mutex).await += 1;
            }
            repetitions.done(meter, locks);
            check("the number of locks", *K::lock(&mutex).await, locks)?;
        }
        Ok(())
    }
}
