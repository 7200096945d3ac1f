#![doc = include_str!("README.md")]

mod capacity;
mod curve;
mod hunt;
mod probe;
mod rates;
mod search;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cli::{CapacityArgs, CompareArgs, LatencyArgs, LoadedArms};
use crate::compare::Bench;
use crate::compare::arms::Arm;
use crate::compare::effort::Effort;
use crate::compare::outputs::Outputs;
use crate::compare::plan::{Asked, Plan};
use crate::error::{CommandError, usage};
use crate::provenance::Build;
use crate::registry::Registry;
use crate::results::Status;

pub(crate) use capacity::{Sought, capacities};
pub(crate) use probe::{Seen, duration_at};

/// The parameter that chooses the open loop.
pub(crate) const RATE: &str = "rate";
/// A parameter of workloads that are not measured for as long as their budget.
const DURATION: &str = "duration_ms";
/// Measured if no workload is named.
const DEFAULT_WORKLOAD: &str = "echo";
pub(crate) const P99: &str = "latency_p99_ns";

/// `lab latency`: open loop at shares of the slowest arm's capacity, and a curve for each arm up to saturation.
///
/// # Errors
/// Those of `lab compare`.
pub(crate) fn latency(
    registry: &Registry,
    build: &Build,
    arguments: &LatencyArgs,
) -> Result<(), CommandError> {
    let arms = &arguments.arms;
    let mut plan = plan(registry, arms)?;
    plan.effort = Effort {
        margin: plan.effort.margin,
        ..Effort::of_latency(arms.quick, arguments.rounds, plan.cells.len())
    };
    let outputs = Outputs::prepare(arms.out.clone(), arms.json.clone(), None)?;
    let bench = Bench::prepare(arms.no_progress)?;
    let mut results = bench.describe(&plan, build, &outputs)?;
    curve::measure(&bench, &mut plan, &outputs, &mut results)?;
    bench.conclude(&plan, &outputs, &results)
}

/// `lab capacity`: the highest rate of each arm that keeps a target.
///
/// # Errors
/// Those of `lab compare`; [`CommandError::Failed`] if no arm gave a figure.
pub(crate) fn capacity(
    registry: &Registry,
    build: &Build,
    arguments: &CapacityArgs,
) -> Result<(), CommandError> {
    let arms = &arguments.arms;
    let plan = plan(registry, arms)?;
    let sought = Sought::new(arguments.p99_ms, arguments.repeats, arms.quick)?;
    let outputs = Outputs::prepare(arms.out.clone(), arms.json.clone(), None)?;
    let bench = Bench::prepare(arms.no_progress)?;
    let mut results = bench.describe(&plan, build, &outputs)?;
    for cell in 0..plan.cells.len() {
        let found = capacities(&bench, &plan, cell, &sought, &mut results.notes);
        results.capacities.extend(found);
    }
    if results.capacities.iter().all(|one| one.probes.is_empty()) {
        outputs.discard_unfinished();
        if bench.interrupted() {
            let nothing = "interrupted before anything was measured; nothing was written";
            return Err(CommandError::Interrupted(nothing.to_owned()));
        }
        let why = results.notes.last().cloned().unwrap_or_default();
        return Err(CommandError::Failed(format!("no arm gave a figure: {why}")));
    }
    bench.conclude(&plan, &outputs, &results)
}

/// The arms, as `lab compare` would have them, of workloads whose rate can be chosen.
fn plan(registry: &Registry, arms: &LoadedArms) -> Result<Plan, CommandError> {
    let mut comparison = CompareArgs::from(arms);
    if comparison.workloads.is_empty() {
        comparison.workloads = vec![DEFAULT_WORKLOAD.to_owned()];
    }
    let mut plan = Plan::new(registry, &Asked::from(&comparison))?;
    for cell in &mut plan.cells {
        if !cell.params.contains_key(RATE) {
            let with_rate = registry.workloads.iter().filter(|workload| {
                let mut names = workload.parameters.iter().map(|one| one.name);
                names.any(|name| name == RATE)
            });
            let names: Vec<&str> = with_rate.map(|workload| workload.name).collect();
            return Err(usage(format!(
                "{} has no rate to be chosen; take one of: {}",
                cell.workload.name,
                names.join(", ")
            )));
        }
        cell.workload.metric = P99;
    }
    Ok(plan)
}

/// The parameters at a rate, with the duration where the workload has one.
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

/// How a process failed.
pub(crate) struct Failed {
    /// `echo under n1: crashed: killed by signal 9 (SIGKILL)`.
    pub(crate) line: String,
    /// It would end the same way again.
    pub(crate) for_good: bool,
}

/// One process of an arm at a rate.
///
/// # Errors
/// How it failed; the bench has taken note, and has said it.
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

/// The parameters without what was chosen for the measurement.
pub(crate) fn without_rate(params: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut params = params.clone();
    params.retain(|name, _| name != RATE && name != DURATION);
    params
}
