//! `mutex-contended`: a few tasks want one async mutex all the time, and hold it for a moment.
//!
//! With a fair mutex each unlock hands the lock to the next in line, which has to be scheduled before anyone gets on: it is
//! the cost of a hand-over. A mutex that lets newcomers overtake is cheaper here and makes some wait longer.
//!
//! One op is a lock and an unlock by one of the tasks. The check: the number in the lock counts them.

use std::sync::Arc;

use runtime_core::Runtime;

use super::primitives::{Primitives, Synchronised};
use super::{check, lost, size};
use crate::measure::Meter;
use crate::registry::{Failure, Group, Mode, Parameter, Params, Workload};
use crate::repetitions::Repetitions;

/// A lock that everybody wants.
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
        ],
        metric: "wall_ns_per_op",
    };

    async fn run<K: Primitives, R: Runtime>(
        rt: R,
        params: &Params,
        meter: &mut Meter,
    ) -> Result<(), Failure> {
        let (each, tasks) = (params.value("size"), params.value("tasks"));
        let mut repetitions = Repetitions::new(params.budget_ns);
        while repetitions.next(meter) {
            let mutex = Arc::new(K::mutex());
            let running: Vec<_> = (0..tasks)
                .map(|_| {
                    let mutex = Arc::clone(&mutex);
                    rt.spawn(async move {
                        for _ in 0..each {
                            *K::lock(&mutex).await += 1;
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
