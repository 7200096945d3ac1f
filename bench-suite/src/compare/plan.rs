//! What will be measured: the command line against the registry, with every mistake found before anything runs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::cli::CompareArgs;
use crate::environment;
use crate::error::CommandError;
use crate::registry::{Parameter, Registry, Workload};
use crate::results::{Absent, Role};
use crate::suggest;

/// Bare `lab compare`: IO-bound and CPU-bound, each model once more than once.
const DEFAULT_WORKLOADS: [&str; 8] = [
    "echo",
    "http",
    "crawl",
    "download",
    "fib-spawn",
    "skynet-spawn",
    "matmul",
    "hash",
];
const DEFAULT_RUNTIMES: [&str; 4] = ["n1", "mn", "threads", "tokio-mt"];
const PREFERRED_BASELINE: &str = "tokio-mt";

/// More worker threads than any machine that this is for has cores.
const MAX_WORKERS: usize = 1024;
const MAX_ROUNDS: u32 = 1000;
/// More cells than anyone waits for: a `--param` with a thousand values is a slip.
const MAX_CELLS: usize = 1000;

/// One measured process is one of these, once a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arm {
    pub(super) runtime: &'static str,
    pub(super) policy: Option<String>,
    pub(super) role: Role,
}

/// A workload with one set of parameters, and who runs it.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) workload: Workload,
    pub(super) params: BTreeMap<String, u64>,
    /// The first one is the baseline; the A/A arm is the last one.
    pub(super) arms: Vec<Arm>,
}

/// How long everything may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Effort {
    pub(super) rounds: u32,
    /// Of each process, for the measured part.
    pub(super) budget: Duration,
    /// Of the whole; `None` takes what it takes.
    pub(super) time_box: Option<Duration>,
    /// After which a process is killed.
    pub(super) limit: Duration,
    /// Intervals only, whatever the rounds.
    pub(super) intervals_only: bool,
}

impl Effort {
    fn of(arguments: &CompareArgs) -> Self {
        let bare = arguments.workloads.is_empty();
        let mut effort = if arguments.quick {
            Self {
                rounds: 3,
                budget: Duration::from_millis(100),
                time_box: Some(Duration::from_secs(23)),
                limit: Duration::from_secs(5),
                intervals_only: true,
            }
        } else if arguments.full {
            Self {
                rounds: 15,
                budget: Duration::from_secs(1),
                time_box: None,
                limit: Duration::from_secs(60),
                intervals_only: false,
            }
        } else {
            Self {
                // Who names workloads has time for as many processes as a verdict needs.
                rounds: if bare { 7 } else { 12 },
                budget: Duration::from_millis(350),
                time_box: Some(Duration::from_secs(105)),
                limit: Duration::from_secs(10),
                intervals_only: false,
            }
        };
        if let Some(rounds) = arguments.rounds {
            effort.rounds = rounds;
            if !arguments.quick {
                effort.time_box = None;
                effort.limit = effort.limit.max(Duration::from_secs(30));
            }
        }
        effort
    }
}

/// All that `lab compare` will do.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) cells: Vec<Cell>,
    pub(super) absent: Vec<Absent>,
    pub(super) effort: Effort,
    pub(super) workers: usize,
    pub(super) seed: u64,
}

impl Plan {
    /// # Errors
    /// [`CommandError::Usage`] for whatever does not exist or is out of its range.
    pub(super) fn new(registry: &Registry, arguments: &CompareArgs) -> Result<Self, CommandError> {
        let workloads = chosen_workloads(registry, &arguments.workloads)?;
        let runtimes = chosen_runtimes(registry, &arguments.runtimes)?;
        let policies = chosen_policies(registry, &runtimes, &arguments.policies)?;
        let settings = settings(&workloads, arguments)?;
        let workers = arguments.workers.unwrap_or_else(environment::cores);
        if !(1..=MAX_WORKERS).contains(&workers) {
            return Err(usage(format!(
                "--workers {workers} is out of range; 1 to {MAX_WORKERS}"
            )));
        }
        let effort = Effort::of(arguments);
        if !(1..=MAX_ROUNDS).contains(&effort.rounds) {
            let rounds = effort.rounds;
            return Err(usage(format!(
                "--rounds {rounds} is out of range; 1 to {MAX_ROUNDS}"
            )));
        }

        let mut cells = Vec::new();
        let mut absent = Vec::new();
        for workload in workloads {
            let (present, missing): (Vec<&str>, Vec<&str>) = runtimes
                .iter()
                .partition(|runtime| registry.entry(workload.name, runtime).is_some());
            absent.extend(missing.into_iter().map(|runtime| Absent {
                workload: workload.name.to_owned(),
                runtime: runtime.to_owned(),
                reason: format!("{runtime} has no {}", workload.name),
            }));
            if present.is_empty() {
                continue;
            }
            let arms = arms(&present, &policies);
            for params in combinations(workload, &settings) {
                cells.push(Cell {
                    workload: *workload,
                    params,
                    arms: arms.clone(),
                });
                if cells.len() > MAX_CELLS {
                    return Err(usage(format!(
                        "--param asks for more than {MAX_CELLS} combinations; give fewer values"
                    )));
                }
            }
        }
        if cells.is_empty() {
            return Err(usage(
                "none of the chosen runtimes has any of the chosen workloads; `lab list` shows the pairs".to_owned(),
            ));
        }
        Ok(Self {
            cells,
            absent,
            effort,
            workers,
            seed: arguments.seed.unwrap_or_else(|| fastrand::u64(..1_000_000)),
        })
    }

    /// Processes in one round.
    pub(super) fn round_size(&self) -> usize {
        self.cells.iter().map(|cell| cell.arms.len()).sum()
    }
}

fn usage(line: String) -> CommandError {
    CommandError::Usage(line)
}

fn chosen_workloads<'a>(
    registry: &'a Registry,
    names: &[String],
) -> Result<Vec<&'a Workload>, CommandError> {
    if names.is_empty() {
        let default: Vec<_> = registry
            .workloads
            .iter()
            .filter(|workload| DEFAULT_WORKLOADS.contains(&workload.name))
            .collect();
        // Someone else's registry: all that it has.
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

/// The chosen runtimes, the baseline first.
fn chosen_runtimes(
    registry: &Registry,
    names: &[String],
) -> Result<Vec<&'static str>, CommandError> {
    let known = || registry.runtimes.iter().map(|runtime| runtime.name);
    let mut chosen: Vec<&'static str> = Vec::new();
    if names.is_empty() {
        chosen.extend(known().filter(|name| DEFAULT_RUNTIMES.contains(name)));
        if chosen.is_empty() {
            chosen.extend(known());
        }
    }
    for name in names {
        let runtime = registry
            .runtime(name)
            .ok_or_else(|| usage(suggest::unknown("runtime", name, known())))?;
        if !chosen.contains(&runtime.name) {
            chosen.push(runtime.name);
        }
    }
    if let Some(position) = chosen.iter().position(|&name| name == PREFERRED_BASELINE) {
        chosen[..=position].rotate_right(1);
    }
    Ok(chosen)
}

/// For each runtime with a choice, the policies asked for.
fn chosen_policies(
    registry: &Registry,
    runtimes: &[&'static str],
    names: &[String],
) -> Result<BTreeMap<&'static str, Vec<String>>, CommandError> {
    let mut chosen: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    for name in names {
        let known = || registry.policies.iter().map(|policy| policy.name);
        if known().all(|other| other != name) {
            return Err(usage(suggest::unknown("policy", name, known())));
        }
        let mut used = false;
        for policy in registry
            .policies
            .iter()
            .filter(|policy| policy.name == name)
        {
            if runtimes.contains(&policy.runtime) {
                let policies = chosen.entry(policy.runtime).or_default();
                if !policies.contains(name) {
                    policies.push(name.clone());
                }
                used = true;
            }
        }
        if !used {
            return Err(usage(format!(
                "none of the chosen runtimes has the policy `{name}`; `lab list` shows who has it"
            )));
        }
    }
    Ok(chosen)
}

fn arms(runtimes: &[&'static str], policies: &BTreeMap<&'static str, Vec<String>>) -> Vec<Arm> {
    let mut arms: Vec<Arm> = Vec::new();
    for &runtime in runtimes {
        let choices = match policies.get(runtime) {
            Some(names) => names.iter().cloned().map(Some).collect(),
            None => vec![None],
        };
        arms.extend(choices.into_iter().map(|policy| Arm {
            runtime,
            policy,
            role: Role::Arm,
        }));
    }
    let repeat = arms.first().map(|baseline| Arm {
        role: Role::Repeat,
        ..baseline.clone()
    });
    arms.extend(repeat);
    arms
}

/// The values asked for, by parameter.
fn settings(
    workloads: &[&Workload],
    arguments: &CompareArgs,
) -> Result<BTreeMap<String, Vec<u64>>, CommandError> {
    let mut settings: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let size = arguments
        .size
        .iter()
        .map(|values| ("size", values.as_str(), "--size"));
    let params = arguments
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
                    "{key}: `{}` is no whole number of 0 or more",
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

/// Every combination of the values asked for, defaults elsewhere.
fn combinations(
    workload: &Workload,
    settings: &BTreeMap<String, Vec<u64>>,
) -> Vec<BTreeMap<String, u64>> {
    let mut all = vec![BTreeMap::new()];
    for parameter in workload.parameters {
        let values = settings
            .get(parameter.name)
            .map_or_else(|| vec![parameter.default], Clone::clone);
        all = all
            .iter()
            .flat_map(|params| {
                values.iter().map(|&value| {
                    let mut params = params.clone();
                    params.insert(parameter.name.to_owned(), value);
                    params
                })
            })
            // Checked again by the caller; this only keeps an absurd product from being built.
            .take(MAX_CELLS + 1)
            .collect();
    }
    all
}
