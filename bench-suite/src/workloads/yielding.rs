//! `yield`: the cost of letting other tasks run.
//!
//! `size` tasks each yield `yields` times. Every run queue is full and nothing else happens, so this is the pure cost
//! of switching from one task to the next: a push and a pop of a queue, or for 1:1 the kernel's switch.
//!
//! The sizes leave enough time for a quick run if each task is a thread. A yield is then a system call and a thread
//! switch, which takes some microseconds, and a repetition must fit several times into the few seconds of a process.
//!
//! One op is one yield. The check is the number of yields that the tasks report.

use runtime_core::Runtime;

use super::{Program, check, lost, size};
use crate::measure::Meter;
use crate::repetitions::Repetitions;
use crate::vocabulary::{Failure, Group, Mode, Parameter, Params, Workload};

/// Many tasks that do nothing but yield.
pub struct Yield;

impl Program for Yield {
    const INFO: Workload = Workload {
        name: "yield",
        group: Group::Scheduling,
        mode: Mode::Batch,
        about: "many tasks that only yield: the bare cost of switching tasks",
        op: "one yield",
        parameters: &[
            size("tasks", 100, 1, 1_000_000),
            Parameter {
                name: "yields",
                about: "yields of each task",
                default: 200,
                min: 1,
                max: 100_000_000,
            },
        ],
        metric: "wall_ns_per_op",
    };

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let tasks = params.value("size");
        let yields = params.value("yields");
        let mut repetitions = Repetitions::new(params.budget_ns);
        while repetitions.next(meter) {
            let total = yield_together(&rt, tasks, yields).await?;
            check("the number of yields", total, tasks * yields)?;
            repetitions.done(meter, total);
        }
        Ok(())
    }
}

/// Makes tasks yield, and returns the total number of yields.
pub(crate) async fn yield_together<R: Runtime>(
    rt: &R,
    tasks: u64,
    yields: u64,
) -> Result<u64, Failure> {
    let handles: Vec<_> = (0..tasks)
        .map(|_| rt.spawn(yield_times(rt.clone(), yields)))
        .collect();
    let mut total = 0;
    for handle in handles {
        total += handle.await.map_err(lost)?;
    }
    Ok(total)
}

async fn yield_times<R: Runtime>(rt: R, yields: u64) -> u64 {
    let mut done = 0;
    while done < yields {
        rt.yield_now().await;
        done += 1;
    }
    done
}
