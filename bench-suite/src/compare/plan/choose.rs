//! Checks the requested workloads, runtimes, workers and parameters against the registry.

use std::collections::{BTreeMap, BTreeSet};

use super::asked::Asked;
use crate::compare::arms::Arm;
use crate::comparisons::ArmKey;
use crate::environment;
use crate::error::{CommandError, usage};
use crate::registry::{Parameter, Registry, RuntimeInfo, Workload};
use crate::results::{Dimension, Sweep};
use crate::suggest;

const PREFERRED_BASELINE: &str = "tokio-mt";

/// More worker threads than any machine that this is meant for has cores.
const MAX_WORKERS: usize = 1024;
/// More cells than anyone waits for. A `--param` with a thousand values is a mistake.
pub(super) const MAX_CELLS: usize = 1000;

pub(super) fn chosen_workloads<'a>(
    registry: &'a Registry,
    names: &[String],
    defaults: &[&str],
) -> Result<Vec<&'a Workload>, CommandError> {
    if names.is_empty() {
        let default: Vec<_> = registry
            .workloads
            .iter()
            .filter(|workload| defaults.contains(&workload.name))
            .collect();
        // A registry of another crate: measure everything in it.
        return Ok(if default.is_empty() {
            registry.workloads.iter().collect()
        } else {
            default
        });
    }
    let known = || registry.workloads.iter().map(|workload| workload.name);
    let mut chosen: Vec<&Workload> = Vec::new();
    for name in names {
        let workload = registry
            .workload(name)
            .ok_or_else(|| usage(suggest::unknown("workload", name, known())))?;
        if chosen.iter().all(|other| other.name != workload.name) {
            chosen.push(workload);
        }
    }
    Ok(chosen)
}

/// The arms from which the best becomes the baseline: the first arm of each of this project's runtimes, if there are
/// several.
pub(super) fn models(runtimes: &[&RuntimeInfo], candidates: &[Arm]) -> Vec<ArmKey> {
    let models: Vec<ArmKey> = runtimes
        .iter()
        .filter(|runtime| runtime.ours)
        .filter_map(|runtime| candidates.iter().find(|arm| arm.runtime == runtime.name))
        .map(Arm::key)
        .collect();
    if models.len() > 1 { models } else { Vec::new() }
}

/// The chosen runtimes, with the baseline first: the requested one, or else the usual peer.
pub(super) fn chosen_runtimes<'a>(
    registry: &'a Registry,
    names: &[String],
    defaults: &[&str],
    baseline: Option<&str>,
) -> Result<Vec<&'a RuntimeInfo>, CommandError> {
    let known = || registry.runtimes.iter().map(|runtime| runtime.name);
    let mut chosen: Vec<&RuntimeInfo> = Vec::new();
    if names.is_empty() {
        let all = || registry.runtimes.iter();
        chosen.extend(all().filter(|runtime| defaults.contains(&runtime.name)));
        if chosen.is_empty() {
            chosen.extend(all());
        }
    }
    for name in names {
        let runtime = registry
            .runtime(name)
            .ok_or_else(|| usage(suggest::unknown("runtime", name, known())))?;
        if chosen.iter().all(|other| other.name != runtime.name) {
            chosen.push(runtime);
        }
    }
    let models = chosen.iter().filter(|runtime| runtime.ours).count();
    let first = match baseline {
        Some(name) => {
            let position = chosen.iter().position(|runtime| runtime.name == name);
            Some(position.ok_or_else(|| unknown_baseline(registry, name))?)
        }
        // The best model will be the baseline. Until it is known, the first model stands for it.
        None if models > 1 => chosen.iter().position(|runtime| runtime.ours),
        None => chosen
            .iter()
            .position(|runtime| runtime.name == PREFERRED_BASELINE),
    };
    if let Some(position) = first {
        chosen[..=position].rotate_right(1);
    }
    Ok(chosen)
}

fn unknown_baseline(registry: &Registry, name: &str) -> CommandError {
    usage(match registry.runtime(name) {
        Some(_) => format!("--baseline {name} is not measured; add it to --runtime"),
        None => suggest::unknown(
            "baseline",
            name,
            registry.runtimes.iter().map(|runtime| runtime.name),
        ),
    })
}

/// The requested numbers of workers without duplicates, or the number of cores.
pub(super) fn chosen_workers(asked: &[usize]) -> Result<Vec<usize>, CommandError> {
    let mut chosen = Vec::new();
    for &workers in asked {
        if !(1..=MAX_WORKERS).contains(&workers) {
            return Err(usage(format!(
                "--workers {workers} is out of range; 1 to {MAX_WORKERS}"
            )));
        }
        if !chosen.contains(&workers) {
            chosen.push(workers);
        }
    }
    if chosen.is_empty() {
        chosen.push(environment::cores());
    }
    Ok(chosen)
}

/// The dimensions of a matrix.
pub(super) fn swept(
    runtimes: &[&str],
    varied: Vec<(String, Vec<String>)>,
) -> Result<Sweep, CommandError> {
    if varied.is_empty() {
        return Err(usage(
            "nothing to sweep over; name --knob NAME=V1,V2, --policy A,B or --workers N1,N2 (`lab list` shows policies \
             and knobs), or --ablate"
                .to_owned(),
        ));
    }
    let several = (runtimes.len() > 1).then(|| {
        let names = runtimes.iter().map(|name| (*name).to_owned()).collect();
        ("runtime".to_owned(), names)
    });
    Ok(Sweep {
        dimensions: several
            .into_iter()
            .chain(varied)
            .map(|(name, values)| Dimension { name, values })
            .collect(),
    })
}

/// The requested values, by parameter.
pub(super) fn settings(
    workloads: &[&Workload],
    asked: &Asked,
) -> Result<BTreeMap<String, Vec<u64>>, CommandError> {
    let mut settings: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let size = asked
        .size
        .iter()
        .map(|values| ("size", values.as_str(), "--size"));
    let params = asked
        .params
        .iter()
        .map(|param| match param.split_once('=') {
            Some((key, values)) => (key.trim(), values, "--param"),
            None => (param.as_str(), "", "--param"),
        });
    for (key, values, option) in size.chain(params) {
        let declared: Vec<(&Workload, &Parameter)> = workloads
            .iter()
            .flat_map(|workload| {
                workload
                    .parameters
                    .iter()
                    .map(move |parameter| (*workload, parameter))
            })
            .filter(|(_, parameter)| parameter.name == key)
            .collect();
        if declared.is_empty() {
            return Err(unknown_parameter(workloads, key, option));
        }
        if values.is_empty() {
            return Err(usage(format!(
                "{option} {key} has no value; write KEY=V1,V2"
            )));
        }
        let mut parsed = Vec::new();
        for text in values.split(',') {
            let value: u64 = text.trim().replace('_', "").parse().map_err(|_| {
                usage(format!(
                    "{key}: `{}` is not a whole number of 0 or more",
                    text.escape_debug()
                ))
            })?;
            for (workload, parameter) in &declared {
                if !(parameter.min..=parameter.max).contains(&value) {
                    return Err(usage(format!(
                        "{key}={value} is out of range for {}; {} to {} ({})",
                        workload.name, parameter.min, parameter.max, parameter.about
                    )));
                }
            }
            if !parsed.contains(&value) {
                parsed.push(value);
            }
        }
        if settings.insert(key.to_owned(), parsed).is_some() {
            return Err(usage(format!(
                "{key} is given twice; write all of its values in one, as KEY=V1,V2"
            )));
        }
    }
    Ok(settings)
}

fn unknown_parameter(workloads: &[&Workload], key: &str, option: &str) -> CommandError {
    let names: BTreeSet<&str> = workloads
        .iter()
        .flat_map(|workload| workload.parameters.iter().map(|parameter| parameter.name))
        .collect();
    let who = match workloads {
        [workload] => workload.name.to_owned(),
        _ => "the chosen workloads".to_owned(),
    };
    let names: Vec<&str> = names.into_iter().collect();
    let names = if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    };
    usage(format!(
        "{option}: {who} has no parameter `{}`; there are: {names}",
        key.escape_debug()
    ))
}

/// Every combination of the requested values, with defaults for the other parameters.
pub(super) fn combinations(
    workload: &Workload,
    settings: &BTreeMap<String, Vec<u64>>,
    sizes: &[(&str, u64)],
) -> Vec<BTreeMap<String, u64>> {
    let mut all = vec![BTreeMap::new()];
    for parameter in workload.parameters {
        let size = sizes
            .iter()
            .find(|(name, _)| parameter.name == "size" && *name == workload.name);
        let default = size.map_or(parameter.default, |&(_, size)| size);
        let values = settings
            .get(parameter.name)
            .map_or_else(|| vec![default], Clone::clone);
        all = all
            .iter()
            .flat_map(|params| {
                values.iter().map(|&value| {
                    let mut params = params.clone();
                    params.insert(parameter.name.to_owned(), value);
                    params
                })
            })
            // The caller checks this again. The limit only keeps an absurd product from being built.
            .take(MAX_CELLS + 1)
            .collect();
    }
    all
}
