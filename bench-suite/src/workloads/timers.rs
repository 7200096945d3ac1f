//! `timers`: many sleeps at once.
//!
//! `size` tasks each sleep until a seeded deadline within the next `span_ms` milliseconds. A task's deadline is drawn
//! when the task is spawned, so a runtime that fires no timers while it spawns will be late. The workload stresses
//! insertion into the timer structure, firing many timers at once, and the wake-ups that follow.
//!
//! One op is one sleep. The figure is CPU time per sleep. The latencies are lateness: from the deadline to the moment
//! when the task runs again. The check: no task runs before its deadline.

use std::time::Duration;

use hdrhistogram::Histogram;
use runtime_core::Runtime;

use super::random::SplitMix64;
use super::{Program, lost, size};
use crate::measure::{Latency, Meter};
use crate::vocabulary::{Failure, Group, Mode, Parameter, Params, Workload};

/// Many sleeps at once.
pub struct Timers;

impl Program for Timers {
    const INFO: Workload = Workload {
        name: "timers",
        group: Group::Io,
        mode: Mode::Batch,
        about: "many tasks that sleep at once: timer insertion, firing, and how late they wake",
        op: "one sleep",
        parameters: &[
            size("sleeping tasks", 10_000, 1, 100_000_000),
            Parameter {
                name: "span_ms",
                about: "sleeps last from 0 to this, in milliseconds",
                default: 1_000,
                min: 1,
                max: 3_600_000,
            },
        ],
        metric: "cpu_ns_per_op",
    };

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let tasks = params.value("size");
        let span_ns = params.value("span_ms") * 1_000_000;
        meter.start();
        let lateness = sleep_together(&rt, tasks, span_ns, params.seed).await?;
        meter.stop(tasks);
        meter.record_latency(&lateness);
        Ok(())
    }
}

/// Makes `tasks` tasks sleep for up to `span_ns` each, and returns how late they woke.
pub(crate) async fn sleep_together<R: Runtime>(
    rt: &R,
    tasks: u64,
    span_ns: u64,
    seed: u64,
) -> Result<Histogram<u64>, Failure> {
    let mut random = SplitMix64::new(seed);
    let mut lateness = Latency::histogram();
    let mut handles = Vec::with_capacity(usize::try_from(tasks).unwrap_or(usize::MAX));
    for _ in 0..tasks {
        let deadline = rt.now() + Duration::from_nanos(random.next() % (span_ns + 1));
        handles.push(rt.spawn({
            let rt = rt.clone();
            async move {
                rt.sleep_until(deadline).await;
                // `None` if it woke too early.
                rt.now().checked_duration_since(deadline)
            }
        }));
    }
    for handle in handles {
        let Some(late) = handle.await.map_err(lost)? else {
            return Err(Failure::WrongAnswer(
                "a sleep ended before its deadline".to_owned(),
            ));
        };
        lateness.saturating_record(u64::try_from(late.as_nanos()).unwrap_or(u64::MAX));
    }
    Ok(lateness)
}
