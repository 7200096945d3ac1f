//! `mutex-contended`: a few tasks continually want one async mutex, and hold it briefly.
//!
//! A holder never waits, so tasks only meet at the lock if several workers run them, or if a budget ends. With `held=1`
//! the holder lets the others run once. They all queue up, and each unlock hands the lock to the next task, which must
//! be scheduled before anyone makes progress. This is the cost of fairness. A mutex that lets newcomers overtake is
//! cheaper here, and makes some tasks wait longer.
//!
//! One op is a lock and an unlock by one of the tasks. The check: the number inside the lock counts them.

use std::sync::Arc;

use runtime_core::Runtime;

use super::primitives::{Primitives, Synchronised};
use super::{check, lost, size};
use crate::measure::Meter;
use crate::repetitions::Repetitions;
use crate::vocabulary::{Failure, Group, Mode, Parameter, Params, Workload};

/// A contended lock.
pub struct MutexContended;

impl Synchronised for MutexContended {
    const INFO: Workload = Workload {
        name: "mutex-contended",
        group: Group::Scheduling,
        mode: Mode::Batch,
        about: "tasks that all want one mutex: the cost of handing a lock over",
        op: "one lock and unlock by one of the tasks",
        parameters: &[
            size("locks by each task", 2_000, 1, 1_000_000_000),
            Parameter {
                name: "tasks",
                about: "tasks that want the lock",
                default: 8,
                min: 1,
                max: 10_000,
            },
            Parameter {
                name: "held",
                about: "how often a task yields while it holds the lock; from 1 on, each unlock is a hand-over",
                default: 0,
                min: 0,
                max: 1_000,
            },
        ],
        metric: "wall_ns_per_op",
    };

    async fn run<K: Primitives, R: Runtime>(
        rt: R,
        params: &Params,
        meter: &mut Meter,
    ) -> Result<(), Failure> {
        let (each, tasks) = (params.value("size"), params.value("tasks"));
        let held = params.value("held");
        let mut repetitions = Repetitions::new(params.budget_ns);
        while repetitions.next(meter) {
            let mutex = Arc::new(K::mutex());
            let running: Vec<_> = (0..tasks)
                .map(|_| {
                    let (mutex, own) = (Arc::clone(&mutex), rt.clone());
                    rt.spawn(async move {
                        for _ in 0..each {
                            let mut guard = K::lock(&mutex).await;
                            for _ in 0..held {
                                own.yield_now().await;
                            }
                            *guard += 1;
                        }
                    })
                })
                .collect();
            for task in running {
                task.await.map_err(lost)?;
            }
            repetitions.done(meter, each * tasks);
            let locks = *K::lock(&mutex).await;
            check("the number of locks", locks, each * tasks)?;
        }
        Ok(())
    }
}
