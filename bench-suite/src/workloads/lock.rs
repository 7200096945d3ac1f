//! `lock`: one task locks and unlocks an uncontended async mutex.
//!
//! Nothing is scheduled, so this is the cost of an uncontended lock. Each runtime uses the mutex that
//! [`primitives`](super::primitives) pairs with it.
//!
//! One op is a lock and an unlock. The check: the number inside the lock counts them.

use runtime_core::Runtime;

use super::primitives::{Primitives, Synchronised};
use super::{check, size};
use crate::measure::Meter;
use crate::repetitions::Repetitions;
use crate::vocabulary::{Failure, Group, Mode, Params, Workload};

/// An uncontended lock.
pub struct Lock;

impl Synchronised for Lock {
    const INFO: Workload = Workload {
        name: "lock",
        group: Group::Scheduling,
        mode: Mode::Batch,
        about: "one task locks and unlocks a mutex: the cost of an uncontended lock",
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
