//! `spawn` and `spawn-batch` as green tasks.

use std::marker::PhantomData;
use std::ops::Range;

use runtime_core::{JoinError, Runtime, green};

use super::style::Style;
use crate::measure::Meter;
use crate::repetitions::Repetitions;
use crate::vocabulary::{Failure, Params, Workload};
use crate::workloads::spawn::{BATCH, Spawn, SpawnBatch, sum_below};
use crate::workloads::{Program, check, lost};

pub(super) struct SpawnTwin<S>(PhantomData<S>);
pub(super) struct SpawnBatchTwin<S>(PhantomData<S>);

impl<S: Style> Program for SpawnTwin<S> {
    const INFO: Workload = Spawn::INFO;

    async fn run<R: Runtime>(_: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let tasks = params.value("size");
        let mut repetitions = Repetitions::new(params.budget_ns);
        while repetitions.next(meter) {
            let spawner = S::spawn(move || spawn_and_join::<S>(0..tasks));
            let sum = spawner.await.and_then(|sum| sum).map_err(lost)?;
            check("the sum of the tasks' numbers", sum, sum_below(tasks))?;
            repetitions.done(meter, tasks);
        }
        Ok(())
    }
}

impl<S: Style> Program for SpawnBatchTwin<S> {
    const INFO: Workload = SpawnBatch::INFO;

    async fn run<R: Runtime>(_: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let tasks = params.value("size");
        let mut repetitions = Repetitions::new(params.budget_ns);
        while repetitions.next(meter) {
            let spawner = S::spawn(move || {
                let mut sum = 0;
                for begin in (0..tasks).step_by(BATCH as usize) {
                    sum += spawn_and_join::<S>(begin..tasks.min(begin + BATCH))?;
                }
                Ok(sum)
            });
            let sum = spawner.await.and_then(|sum| sum).map_err(lost)?;
            check("the sum of the tasks' numbers", sum, sum_below(tasks))?;
            repetitions.done(meter, tasks);
        }
        Ok(())
    }
}

fn spawn_and_join<S: Style>(numbers: Range<u64>) -> Result<u64, JoinError> {
    let handles: Vec<_> = numbers.map(|number| S::spawn(move || number)).collect();
    let mut sum = 0;
    for handle in handles {
        sum += green::wait(handle)?;
    }
    Ok(sum)
}
