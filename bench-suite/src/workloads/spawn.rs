//! `spawn` and `spawn-batch`: the cost of starting a task and of learning that it has ended.
//!
//! **`spawn`** starts `size` tasks from inside a task, keeps all their handles in a `Vec`, and then joins them in
//! order. A task only returns its number. With a million tasks alive at once, this stresses task memory (its size, its
//! reuse, the page faults) as much as the queues. **`spawn-batch`** starts and joins a hundred tasks at a time: the
//! same work with hot memory and short queues.
//!
//! One op is one task, spawned and joined. The check is the sum of the tasks' results.

use runtime_core::Runtime;

use super::{Program, check, lost, size};
use crate::measure::Meter;
use crate::repetitions::Repetitions;
use crate::vocabulary::{Failure, Group, Mode, Params, Workload};

/// The number of tasks per batch in `spawn-batch`.
pub const BATCH: u64 = 100;

/// Many tasks, all alive before the first is joined.
pub struct Spawn;

impl Program for Spawn {
    const INFO: Workload = Workload {
        name: "spawn",
        group: Group::Scheduling,
        mode: Mode::Batch,
        about: "starts many tasks from inside a task, then joins all of them: task memory and queues",
        op: "one task spawned and joined",
        parameters: &[size("tasks alive at once", 100_000, 1, 100_000_000)],
        metric: "wall_ns_per_op",
    };

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let tasks = params.value("size");
        let mut repetitions = Repetitions::new(params.budget_ns);
        while repetitions.next(meter) {
            let sum = spawn_and_join(&rt, 0..tasks).await?;
            check("the sum of the tasks' numbers", sum, sum_below(tasks))?;
            repetitions.done(meter, tasks);
        }
        Ok(())
    }
}

/// Tasks in batches of a hundred. Each batch is joined before the next starts.
pub struct SpawnBatch;

impl Program for SpawnBatch {
    const INFO: Workload = Workload {
        name: "spawn-batch",
        group: Group::Scheduling,
        mode: Mode::Batch,
        about: "starts and joins tasks a hundred at a time: the hot path of spawning",
        op: "one task spawned and joined",
        parameters: &[size("tasks in all", 10_000, 1, 100_000_000)],
        metric: "wall_ns_per_op",
    };

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let tasks = params.value("size");
        let mut repetitions = Repetitions::new(params.budget_ns);
        while repetitions.next(meter) {
            let mut sum = 0;
            let mut begun = 0;
            while begun < tasks {
                let end = tasks.min(begun + BATCH);
                sum += spawn_and_join(&rt, begun..end).await?;
                begun = end;
            }
            check("the sum of the tasks' numbers", sum, sum_below(tasks))?;
            repetitions.done(meter, tasks);
        }
        Ok(())
    }
}

/// Starts a task for each number, joins them, and returns the sum of the results.
pub(crate) async fn spawn_and_join<R: Runtime>(
    rt: &R,
    numbers: std::ops::Range<u64>,
) -> Result<u64, Failure> {
    let handles: Vec<_> = numbers
        .map(|number| rt.spawn(async move { number }))
        .collect();
    let mut sum = 0;
    for handle in handles {
        sum += handle.await.map_err(lost)?;
    }
    Ok(sum)
}

/// 0 + 1 + ... + (n - 1).
pub fn sum_below(n: u64) -> u64 {
    n * n.saturating_sub(1) / 2
}
