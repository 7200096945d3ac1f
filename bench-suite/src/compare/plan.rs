//! The plan: checks the command line against the registry, and finds every mistake before anything runs.

mod asked;
mod choose;

use std::collections::BTreeMap;
use std::time::Duration;

use super::arms::{self, Arm, Choices};
use super::binaries::{self, Binary};
use super::effort::Effort;
use super::parts::Parts;
use crate::comparisons::{ArmKey, Baseline};
use crate::error::{CommandError, usage};
use crate::merge::shard::Shard;
use crate::registry::{Registry, Workload};
use crate::results::{Absent, Role, Sweep};
use crate::statistics::{LEVEL, rounds_to_reject};
use choose::{
    MAX_CELLS, chosen_runtimes, chosen_workers, chosen_workloads, combinations, models, settings,
    swept,
};

pub(crate) use asked::Asked;

const MAX_ROUNDS: u32 = 1000;
const MIN_BUDGET: Duration = Duration::from_millis(1);
const MAX_BUDGET: Duration = Duration::from_secs(600);

/// A workload with one set of parameters, and its arms.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) workload: Workload,
    pub(crate) params: BTreeMap<String, u64>,
    /// The baseline comes first; A/A arms come last.
    pub(crate) arms: Vec<Arm>,
    /// Which arms are compared with each other.
    pub(crate) baselines: Vec<Baseline>,
    /// If not empty, the best of these is the common baseline.
    pub(crate) best_of: Vec<ArmKey>,
}

impl Cell {
    /// The fewest rounds that can decide one of its comparisons at a single look. The family consists of all pairs with
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

/// Everything that `lab compare` or `lab sweep` will do.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) cells: Vec<Cell>,
    pub(crate) absent: Vec<Absent>,
    pub(crate) effort: Effort,
    pub(crate) seed: u64,
    /// The dimensions, if a matrix was requested.
    pub(crate) sweep: Option<Sweep>,
    /// The programs of other builds, by the names that the user gave them.
    pub(crate) binaries: BTreeMap<String, Binary>,
    /// The runtimes that report to a recorder.
    pub(crate) recorded: Vec<&'static str>,
    /// The default policy of each runtime.
    pub(crate) default_policies: BTreeMap<String, String>,
    /// Notes that the reader of the results needs.
    pub(crate) notes: Vec<String>,
    /// The shard of the request that this plan covers.
    pub(crate) shard: Option<Shard>,
}

impl Plan {
    /// # Errors
    /// [`CommandError::Usage`] for anything that does not exist or is out of range.
    pub(crate) fn new(registry: &Registry, asked: &Asked) -> Result<Self, CommandError> {
        let workloads = chosen_workloads(registry, &asked.workloads, asked.default_workloads)?;
        let binaries = binaries::chosen(&asked.binaries)?;
        let baseline = asked.baseline.as_deref();
        let runtimes = chosen_runtimes(
            registry,
            &asked.runtimes,
            asked.default_runtimes,
            // The baseline may be the name of a build instead of a runtime.
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
        if !(MIN_BUDGET..=MAX_BUDGET).contains(&effort.budget) {
            return Err(usage(format!(
                "--budget-ms {} is out of range; {} to {}",
                effort.budget.as_millis(),
                MIN_BUDGET.as_millis(),
                MAX_BUDGET.as_millis()
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
            recorded: runtimes
                .iter()
                .filter(|info| info.records())
                .map(|info| info.name)
                .collect(),
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

    /// Drops what other shards measure.
    ///
    /// # Errors
    /// [`CommandError::Usage`] if nothing is left.
    pub(super) fn keep(&mut self, shard: Shard) -> Result<(), CommandError> {
        let all = self.cells.len();
        let mut position = 0;
        self.cells.retain(|_| {
            position += 1;
            shard.has(position - 1)
        });
        if self.cells.is_empty() {
            return Err(usage(format!(
                "--shard {shard}: there are {all} workloads and settings, so this shard is empty; use fewer shards"
            )));
        }
        self.shard = Some(shard);
        Ok(())
    }

    /// The number of processes in one round.
    pub(crate) fn round_size(&self) -> usize {
        self.cells.iter().map(|cell| cell.arms.len()).sum()
    }
}
