#![doc = include_str!("README.md")]

mod ask;
mod capacity;
mod curve;
mod hunt;
mod probe;
mod rates;
mod search;

use crate::cli::{CapacityArgs, CompareArgs, LatencyArgs, LoadedArgs};
use crate::compare::Bench;
use crate::compare::effort::Effort;
use crate::compare::outputs::Outputs;
use crate::compare::plan::{Asked, Plan};
use crate::error::{CommandError, usage};
use crate::provenance::Build;
use crate::registry::Registry;

pub(crate) use ask::{P99, at_rate, without_rate};
pub(crate) use capacity::{Sought, capacities};
pub(crate) use probe::duration_at;

use ask::RATE;

/// Measured if the user names no workload.
const DEFAULT_WORKLOAD: &str = "echo";
/// `lab latency`: open loop at fractions of the slowest arm's capacity, and a curve up to saturation for each arm.
///
/// # Errors
/// Those of `lab compare`.
pub(crate) fn latency(
    registry: &Registry,
    build: &Build,
    arguments: &LatencyArgs,
) -> Result<(), CommandError> {
    let loaded = &arguments.loaded;
    let mut plan = plan(registry, loaded)?;
    plan.effort = Effort {
        margin: plan.effort.margin,
        ..Effort::of_latency(loaded.quick, arguments.rounds, plan.cells.len())
    };
    let outputs = Outputs::prepare(loaded.keep.out.clone(), loaded.keep.json.clone(), None)?;
    let bench = Bench::prepare(loaded.keep.no_progress)?;
    let mut results = bench.describe(&plan, build, &outputs)?;
    curve::measure(&bench, &mut plan, &outputs, &mut results)?;
    bench.conclude(&plan, &outputs, &results)
}

/// `lab capacity`: the highest rate at which each arm meets the target.
///
/// # Errors
/// Those of `lab compare`; [`CommandError::Failed`] if no arm gave a figure.
pub(crate) fn capacity(
    registry: &Registry,
    build: &Build,
    arguments: &CapacityArgs,
) -> Result<(), CommandError> {
    let loaded = &arguments.loaded;
    let plan = plan(registry, loaded)?;
    let sought = Sought::new(arguments.p99_ms, arguments.repeats, loaded.quick)?;
    let outputs = Outputs::prepare(loaded.keep.out.clone(), loaded.keep.json.clone(), None)?;
    let bench = Bench::prepare(loaded.keep.no_progress)?;
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

/// The arms as in `lab compare`, for workloads with a selectable rate.
fn plan(registry: &Registry, loaded: &LoadedArgs) -> Result<Plan, CommandError> {
    let mut comparison = CompareArgs::from(loaded);
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
                "{} has no selectable rate; take one of: {}",
                cell.workload.name,
                names.join(", ")
            )));
        }
        cell.workload.metric = P99;
    }
    Ok(plan)
}
