//! `yield` as green tasks.

use std::marker::PhantomData;

use runtime_core::{Runtime, green};

use super::style::Style;
use crate::measure::Meter;
use crate::repetitions::Repetitions;
use crate::vocabulary::{Failure, Params, Workload};
use crate::workloads::yielding::Yield;
use crate::workloads::{Program, check, lost};

pub(super) struct YieldTwin<S>(PhantomData<S>);

impl<S: Style> Program for YieldTwin<S> {
    const INFO: Workload = Yield::INFO;

    async fn run<R: Runtime>(_: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let (tasks, yields) = (params.value("size"), params.value("yields"));
        let mut repetitions = Repetitions::new(params.budget_ns);
        while repetitions.next(meter) {
            let handles: Vec<_> = (0..tasks)
                .map(|_| S::spawn(move || yield_times(yields)))
                .collect();
            let mut total = 0;
            for handle in handles {
                total += handle.await.map_err(lost)?;
            }
            check("the number of yields", total, tasks * yields)?;
            repetitions.done(meter, total);
        }
        Ok(())
    }
}

fn yield_times(yields: u64) -> u64 {
    let mut done = 0;
    while done < yields {
        green::yield_now();
        done += 1;
    }
    done
}
