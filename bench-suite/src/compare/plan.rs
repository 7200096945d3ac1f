//! What will be measured: the command line against the registry, with every mistake found before anything runs.

use std::collections::{BTreeMap, BTreeSet};

use super::arms::{self, Arm, Choices};
use super::binaries::{self, Binary};
use super::effort::Effort;
use super::parts::Parts;
use crate::cli::{CompareArgs, SweepArgs};
use crate::comparisons::{ArmKey, Baseline};
use crate::environment;
use crate::error::{CommandError, usage};
use crate::merge::shard::Shard;
use crate::registry::{Parameter, Registry, RuntimeInfo, Workload};
use crate::results::{Absent, Dimension, Role, Sweep};
use crate::statistics::{LEVEL, rounds_to_reject};
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
/// Sizes in bare `lab compare`, where the usual ones would take the time of too many rounds: a family of twelve
/// comparisons is decided by nine rounds and no fewer.
const DEFAULT_SIZES: [(&str, u64); 5] = [
    ("crawl", 250),
    ("download", 200),
    ("fib-spawn", 14),
    ("matmul", 160),
    ("hash", 4),
];
const DEFAULT_RUNTIMES: [&str; 4] = ["n1", "mn", "threads", "tokio-mt"];
/// Without workloads named, `lab sweep` asks what decisions of a scheduler are most about.
const SWEEP_WORKLOADS: [&str; 4] = ["echo", "spawn-batch", "yield", "pingpong"];
const SWEEP_RUNTIMES: [&str; 1] = ["mn"];
const PREFERRED_BASELINE: &str = "tokio-mt";

/// More worker threads than any machine that this is for has cores.
const MAX_WORKERS: usize = 1024;
const MAX_ROUNDS: u32 = 1000;
/// More cells than anyone waits for: a `--param` with a thousand values is a slip.
const MAX_CELLS: usize = 1000;

/// A workload with one set of parameters, and who runs it.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) workload: Workload,
    pub(crate) params: BTreeMap<String, u64>,
    /// The first one is the baseline; the A/A arms are the last ones.
    pub(crate) arms: Vec<Arm>,
    /// Who is compared with whom.
    pub(crate) baselines: Vec<Baseline>,
    /// If there are any, the best of these is the baseline of all.
    pub(crate) best_of: Vec<ArmKey>,
}

impl Cell {
    /// The fewest rounds that can decide one of its comparisons at a single look: those of a family of all pairs with
    /// an arm that may be the baseline, in time, CPU time and the workload's own metric.
    pub(super) fn deciding_rounds(&self) -> u32 {
        let arms = self.arms.iter().filter(|arm| arm.role == Role::Arm).count();
        let baselines = self.best_of.len().max(1);
        let others = arms.saturating_sub(baselines);
        let pairs = baselines * (baselines - 1) / 2 + baselines * others;
        let own = usize::from(!["wall_ns_per_op", "cpu_ns_per_op"].contains(&self.workload.metric));
        rounds_to_reject(LEVEL / ((2 + own) * pairs.max(1)) as f64)
    }
}

/// What was asked for, as it was written, by whichever command.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(super) workloads: Vec<String>,
    /// Measured if no workload is named.
    default_workloads: &'static [&'static str],
    /// The parameter `size` of those, where it is not the workload's own default.
    default_sizes: &'static [(&'static str, u64)],
    runtimes: Vec<String>,
    /// Measured if no runtime is named.
    default_runtimes: &'static [&'static str],
    workers: Vec<usize>,
    size: Option<String>,
    params: Vec<String>,
    policies: Vec<String>,
    knobs: Vec<String>,
    baseline: Option<String>,
    binaries: Vec<String>,
    /// Sets of parts to leave out, each in an arm of its own.
    without: Vec<String>,
    /// The matrix of parts.
    ablate: bool,
    seed: Option<u64>,
    pub(crate) effort: Effort,
    sweep: bool,
}

impl From<&CompareArgs> for Asked {
    fn from(arguments: &CompareArgs) -> Self {
        Self {
            workloads: arguments.workloads.clone(),
            default_workloads: &DEFAULT_WORKLOADS,
            default_sizes: if arguments.workloads.is_empty() {
                &DEFAULT_SIZES
            } else {
                &[]
            },
            runtimes: arguments.runtimes.clone(),
            default_runtimes: &DEFAULT_RUNTIMES,
            workers: arguments.workers.into_iter().collect(),
            size: arguments.size.clone(),
            params: arguments.params.clone(),
            policies: arguments.policies.clone(),
            knobs: arguments.knobs.clone(),
            baseline: arguments.baseline.clone(),
            binaries: arguments.binaries.clone(),
            without: arguments.without.clone(),
            ablate: false,
            seed: arguments.seed,
            effort: Effort::of_comparison(arguments),
            sweep: false,
        }
    }
}

impl From<&SweepArgs> for Asked {
    fn from(arguments: &SweepArgs) -> Self {
        Self {
            workloads: [&arguments.workloads[..], &arguments.more_workloads].concat(),
            default_workloads: &SWEEP_WORKLOADS,
            default_sizes: &[],
            runtimes: arguments.runtimes.clone(),
            default_runtimes: &SWEEP_RUNTIMES,
            workers: arguments.workers.clone(),
            size: arguments.size.clone(),
            params: arguments.params.clone(),
            policies: arguments.policies.clone(),
            knobs: arguments.knobs.clone(),
            baseline: None,
            binaries: Vec::new(),
            without: Vec::new(),
            ablate: arguments.ablate,
            seed: arguments.seed,
            effort: Effort::of_sweep(arguments),
            sweep: true,
        }
    }
}

/// All that `lab compare` or `lab sweep` will do.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) cells: Vec<Cell>,
    pub(crate) absent: Vec<Absent>,
    pub(crate) effort: Effort,
    pub(crate) seed: u64,
    /// What is varied, if a matrix is asked for.
    pub(crate) sweep: Option<Sweep>,
    /// Programs of other builds, by the names given to them.
    pub(crate) binaries: BTreeMap<String, Binary>,
    /// The policies that runtimes have by default.
    pub(crate) default_policies: BTreeMap<String, String>,
    /// What the reader of the results must know.
    pub(crate) notes: Vec<String>,
    /// The part of what was asked that this plan is.
    pub(crate) shard: Option<Shard>,
}

impl Plan {
    /// # Errors
    /// [`CommandError::Usage`] for whatever does not exist or is out of its range.
    pub(crate) fn new(registry: &Registry, asked: &Asked) -> Result<Self, CommandError> {
        let workloads = chosen_workloads(registry, &asked.workloads, asked.default_workloads)?;
        let binaries = binaries::chosen(&asked.binaries)?;
        let baseline = asked.baseline.as_deref();
        let runtimes = chosen_runtimes(
            registry,
            &asked.runtimes,
            asked.default_runtimes,
            // The name of a build is no runtime's.
            baseline.filter(|name| binaries.iter().all(|(other, _)| other != name)),
        )?;
        let names: Vec<&'static str> = runtimes.iter().map(|runtime| runtime.name).collect();
        let settings = settings(&workloads, asked)?;
        let workers = chosen_workers(&asked.workers)?;
        let effort = asked.effort;
        if !(effort.margin > 0.0 && effort.margin <= 1.0) {
            return Err(usage(format!(
                "--margin {} is out of range; a percentage of more than 0 and up to 100",
                effort.margin * 100.0
            )));
        }
        if !(1..=MAX_ROUNDS).contains(&effort.rounds) {
            let rounds = effort.rounds;
            return Err(usage(format!(
                "--rounds {rounds} is out of range; 1 to {MAX_ROUNDS}"
            )));
        }
        let parts = Parts::new(registry, &names, &asked.without, asked.ablate)?;
        let choices = Choices::new(
            registry,
            &names,
            &asked.policies,
            &asked.knobs,
            workers,
            parts,
        )?;
        let sweep = asked
            .sweep
            .then(|| swept(&names, choices.varied(&runtimes)))
            .transpose()?;

        let mut candidates: Vec<Arm> = Vec::new();
        let mut notes = Vec::new();
        for runtime in &runtimes {
            let (arms, left_out) = choices.arms(registry, runtime)?;
            candidates.extend(binaries::with_builds(arms, &binaries, baseline));
            notes.extend(left_out);
        }
        let best_of = if asked.sweep || baseline.is_some() || !binaries.is_empty() {
            Vec::new()
        } else {
            models(&runtimes, &candidates)
        };
        let mut cells = Vec::new();
        let mut absent = Vec::new();
        for workload in workloads {
            let has = |runtime: &str| registry.entry(workload.name, runtime).is_some();
            absent.extend(
                names
                    .iter()
                    .filter(|runtime| !has(runtime))
                    .map(|runtime| Absent {
                        workload: workload.name.to_owned(),
                        runtime: (*runtime).to_owned(),
                        reason: format!("{runtime} has no {}", workload.name),
                    }),
            );
            let mut arms: Vec<Arm> = candidates
                .iter()
                .filter(|arm| has(arm.runtime))
                .cloned()
                .collect();
            if arms.is_empty() {
                continue;
            }
            let baselines = arms::baselines(&mut arms);
            for params in combinations(workload, &settings, asked.default_sizes) {
                cells.push(Cell {
                    workload: *workload,
                    params,
                    arms: arms.clone(),
                    baselines: baselines.clone(),
                    best_of: best_of.clone(),
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
            seed: asked.seed.unwrap_or_else(|| fastrand::u64(..1_000_000)),
            sweep,
            binaries: binaries.into_iter().collect(),
            default_policies: runtimes
                .iter()
                .filter_map(|info| {
                    Some((
                        info.name.to_owned(),
                        info.policies().first()?.name.to_owned(),
                    ))
                })
                .collect(),
            notes,
            shard: None,
        })
    }

    /// Leaves what other shards measure out.
    ///
    /// # Errors
    /// [`CommandError::Usage`] if that is everything.
    pub(super) fn keep(&mut self, shard: Shard) -> Result<(), CommandError> {
        let all = self.cells.len();
        let mut position = 0;
        self.cells.retain(|_| {
            position += 1;
            shard.has(position - 1)
        });
        if self.cells.is_empty() {
            return Err(usage(format!(
                "--shard {shard}: there are {all} workloads and settings, so that this part has none; make fewer parts"
            )));
        }
        self.shard = Some(shard);
        Ok(())
    }

    /// Processes in one round.
    pub(crate) fn round_size(&self) -> usize {
        self.cells.iter().map(|cell| cell.arms.len()).sum()
    }
}

fn chosen_workloads<'a>(
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

/// The arms among which the best is to be the baseline: the first one of each runtime of this project, if there are
/// several.
fn models(runtimes: &[&RuntimeInfo], candidates: &[Arm]) -> Vec<ArmKey> {
    let models: Vec<ArmKey> = runtimes
        .iter()
        .filter(|runtime| runtime.ours)
        .filter_map(|runtime| candidates.iter().find(|arm| arm.runtime == runtime.name))
        .map(Arm::key)
        .collect();
    if models.len() > 1 { models } else { Vec::new() }
}

/// The chosen runtimes, the baseline first: the one that is asked for, else the usual peer.
fn chosen_runtimes<'a>(
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
        // The best model will be the baseline; until that is known, the first one stands for it.
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

/// The numbers of workers asked for, each once; the cores if none is.
fn chosen_workers(asked: &[usize]) -> Result<Vec<usize>, CommandError> {
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
fn swept(runtimes: &[&str], varied: Vec<(String, Vec<String>)>) -> Result<Sweep, CommandError> {
    if varied.is_empty() {
        return Err(usage(
            "nothing to sweep over; name --knob NAME=V1,V2, --policy A,B or --workers N1,N2 (`lab list` shows policies and \
             knobs), or --ablate"
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

/// The values asked for, by parameter.
fn settings(
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
            // Checked again by the caller; this only keeps an absurd product from being built.
            .take(MAX_CELLS + 1)
            .collect();
    }
    all
}
