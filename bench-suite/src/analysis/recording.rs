//! Provides runs: recorded now, or read from a file.

use std::path::Path;

use super::side_by_side;
use crate::cli::{RecordingArgs, TraceArgs};
use crate::error::{CommandError, usage};
use crate::measure::Meter;
use crate::registry::{Params, Registry};
use crate::terminal;
use crate::trace::command::{Hooks, params, record_one, runtimes, values, workload};
use crate::trace::{Run, Trace};

/// Records per thread by default. An analysis needs all of them, so this is twice as many as `lab trace` keeps. Unused
/// records take no memory.
const RECORDS: u32 = 1 << 21;

/// One way to run a workload.
#[derive(Clone, Debug, Default)]
pub(super) struct Arm {
    pub(super) runtime: String,
    pub(super) workers: Option<usize>,
    pub(super) policy: Option<String>,
    /// As `NAME=VALUE`.
    pub(super) knob: Option<String>,
}

/// Whether `subject` names a file and not a workload.
pub(super) fn is_file(subject: &str) -> bool {
    subject.ends_with(".json") || Path::new(subject).is_file()
}

/// Records the workload `name` in one of its ways.
///
/// # Errors
/// [`CommandError::Usage`] for unknown names and values; [`CommandError::Failed`] if the workload fails.
pub(super) fn record(
    registry: &Registry,
    name: &str,
    arm: &Arm,
    recording: &RecordingArgs,
) -> Result<Run, CommandError> {
    let workload = workload(registry, name)?;
    let arguments = arguments(name, arm, recording);
    let values = values(workload, &arguments)?;
    let chosen = runtimes(registry, workload, &arguments.runtimes, Hooks::Ours)?;
    let run = record_one(registry, workload, chosen[0], &values, &arguments)?;
    warn_of_dropped(&run);
    Ok(run)
}

fn arguments(name: &str, arm: &Arm, recording: &RecordingArgs) -> TraceArgs {
    TraceArgs {
        workload: name.to_owned(),
        runtimes: vec![arm.runtime.clone()],
        out: Default::default(),
        size: recording.size.clone(),
        params: recording.params.clone(),
        workers: arm.workers.or(recording.workers),
        policy: arm.policy.clone(),
        knobs: arm.knob.iter().cloned().collect(),
        records: recording.records.or(Some(RECORDS)),
        seed: recording.seed,
    }
}

/// How long the workload's repetitions may take in all when they are timed.
const BUDGET_NS: u64 = 40_000_000;

/// How much longer one operation of the workload takes while a copy of the workload runs next to it. Nothing is
/// recorded.
///
/// # Errors
/// [`CommandError::Usage`] for unknown names and values; [`CommandError::Failed`] if the workload fails, which it may
/// do only because there are two of it.
pub(super) fn slow_down_next_to_a_copy(
    registry: &Registry,
    name: &str,
    arm: &Arm,
    recording: &RecordingArgs,
) -> Result<f64, CommandError> {
    let workload = workload(registry, name)?;
    let arguments = arguments(name, arm, recording);
    let values = values(workload, &arguments)?;
    let chosen = runtimes(registry, workload, &arguments.runtimes, Hooks::Ours)?;
    let entry = registry
        .entry(workload.name, chosen[0].name)
        .ok_or_else(|| usage(format!("{} has no {name}", arm.runtime)))?;
    let params = Params {
        budget_ns: BUDGET_NS,
        ..params(workload, chosen[0], &values, &arguments)?
    };
    side_by_side::slow_down(|| {
        let mut meter = Meter::default();
        (entry.run)(&params, &mut meter)
            .map_err(|failure| CommandError::Failed(format!("{name}: {failure}")))?;
        let times = meter.samples.iter();
        let times = times.map(|it| it.wall_ns as f64 / it.ops.max(1) as f64);
        Ok(times.fold(f64::MAX, f64::min))
    })
}

/// Reads a trace that holds at least `runs` runs.
///
/// # Errors
/// [`CommandError::Usage`], in one line.
pub(super) fn read(path: &str, runs: usize) -> Result<Trace, CommandError> {
    let trace = Trace::read(path.as_ref()).map_err(|error| usage(error.to_string()))?;
    if trace.runs.len() < runs {
        return Err(usage(format!(
            "{path}: has {} run{}, and {runs} are needed; trace several runtimes, or name another file as well",
            trace.runs.len(),
            if trace.runs.len() == 1 { "" } else { "s" },
        )));
    }
    trace.runs.iter().for_each(warn_of_dropped);
    Ok(trace)
}

/// The run of a trace under a runtime.
///
/// # Errors
/// [`CommandError::Usage`] if there is none.
pub(super) fn run_under<'a>(
    trace: &'a Trace,
    path: &str,
    runtime: &str,
) -> Result<&'a Run, CommandError> {
    let found = trace.runs.iter().find(|run| run.runtime == runtime);
    found.ok_or_else(|| {
        let names: Vec<_> = trace.runs.iter().map(|run| run.runtime.as_str()).collect();
        usage(format!(
            "--runtime {}: {path} has no such run; it has {}",
            runtime.escape_debug(),
            names.join(", ")
        ))
    })
}

fn warn_of_dropped(run: &Run) {
    if run.dropped > 0 {
        terminal::say(&format!(
            "{} events of {} were dropped, so that the figures are of a part; a smaller size, or a larger --records, \
             keeps all",
            run.dropped, run.runtime
        ));
    }
}
