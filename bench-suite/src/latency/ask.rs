//! Runs one process of an arm at a rate.

use std::collections::BTreeMap;
use std::time::Duration;

use super::probe::{Seen, duration_at};
use crate::compare::Bench;
use crate::compare::arms::Arm;
use crate::compare::plan::Plan;
use crate::results::Status;

/// The parameter that selects the open loop.
pub(crate) const RATE: &str = "rate";
/// A parameter of workloads whose length does not follow from their budget.
const DURATION: &str = "duration_ms";
pub(crate) const P99: &str = "latency_p99_ns";

/// The parameters for a rate, with the duration if the workload has that parameter.
pub(crate) fn at_rate(
    params: &BTreeMap<String, u64>,
    rate: u64,
    duration: Duration,
) -> BTreeMap<String, u64> {
    let mut params = params.clone();
    params.insert(RATE.to_owned(), rate);
    if let Some(milliseconds) = params.get_mut(DURATION) {
        *milliseconds = (duration.as_millis() as u64).max(100);
    }
    params
}

/// A process's failure.
pub(crate) struct Failed {
    /// `echo under n1: crashed: killed by signal 9 (SIGKILL)`.
    pub(crate) line: String,
    /// Whether another process would fail the same way.
    pub(crate) for_good: bool,
}

/// Runs one process of an arm at a rate.
///
/// # Errors
/// How it failed. The bench has already recorded and reported it.
pub(crate) fn ask(
    bench: &Bench,
    plan: &Plan,
    (cell, arm): (usize, &Arm),
    rate: u64,
    usual: Duration,
    number: u32,
) -> Result<Seen, Failed> {
    let cell = &plan.cells[cell];
    let duration = duration_at(rate, usual);
    let params = at_rate(&cell.params, rate, duration);
    let seed = plan.seed.wrapping_add(u64::from(number));
    let request = arm.request(cell.workload.name, &params, duration, seed);
    let binary = arm.binary.as_ref().and_then(|name| plan.binaries.get(name));
    let limit = plan.effort.limit.max(duration * 6);
    let measured = bench.ask(binary, &request, limit).and_then(|measured| {
        let seen = Seen::of_measured(rate, &measured);
        seen.ok_or_else(|| (Status::Crashed, "gave no latency".to_owned()))
    });
    measured.map_err(|(status, error)| {
        let (workload, runtime) = (cell.workload.name, arm.runtime);
        let line = format!("{workload} under {runtime}: {}: {error}", status.describe());
        if !bench.interrupted() {
            bench.say(&line);
            bench.note_failure(status, &line);
        }
        Failed {
            line,
            for_good: !matches!(status, Status::WrongAnswer | Status::Crashed),
        }
    })
}

/// The parameters without those that the measurement sets.
pub(crate) fn without_rate(params: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut params = params.clone();
    params.retain(|name, _| name != RATE && name != DURATION);
    params
}
