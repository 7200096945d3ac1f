//! `semaphore`: one task acquires and releases a permit of an uncontended semaphore.
//!
//! Like `lock`, for the primitive that limits how many tasks do something at once.
//!
//! One op is an acquire and a release. The check: at the end, all permits can be acquired at once, and no more.

use std::pin::pin;

use futures_lite::future;
use runtime_core::Runtime;

use super::primitives::{Primitives, Synchronised};
use super::{check, size};
use crate::measure::Meter;
use crate::repetitions::Repetitions;
use crate::vocabulary::{Failure, Group, Mode, Parameter, Params, Workload};

/// An uncontended semaphore.
pub struct Semaphore;

impl Synchronised for Semaphore {
    const INFO: Workload = Workload {
        name: "semaphore",
        group: Group::Scheduling,
        mode: Mode::Batch,
        about: "one task takes and gives back permits of a semaphore: its cost while there are enough permits",
        op: "one acquire and release",
        parameters: &[
            size("acquires", 100_000, 1, 1_000_000_000),
            Parameter {
                name: "permits",
                about: "permits of the semaphore",
                default: 50,
                min: 1,
                max: 1_000_000,
            },
        ],
        metric: "wall_ns_per_op",
    };

    async fn run<K: Primitives, R: Runtime>(
        _rt: R,
        params: &Params,
        meter: &mut Meter,
    ) -> Result<(), Failure> {
        let (acquires, permits) = (params.value("size"), params.value("permits"));
        let mut repetitions = Repetitions::new(params.budget_ns);
        while repetitions.next(meter) {
            let semaphore = K::semaphore(permits as usize);
            for _ in 0..acquires {
                drop(K::acquire(&semaphore).await);
            }
            repetitions.done(meter, acquires);
            // All permits have been released. If one were lost, this would wait forever.
            let mut all = Vec::new();
            for _ in 0..permits {
                all.push(K::acquire(&semaphore).await);
            }
            let one_more = future::poll_once(pin!(K::acquire(&semaphore))).await;
            check("a permit beyond the last", one_more.is_some(), false)?;
        }
        Ok(())
    }
}
