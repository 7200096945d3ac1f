#![doc = include_str!("README.md")]

pub(crate) mod arms;
mod bench;
mod binaries;
pub(crate) mod child;
mod counting;
pub(crate) mod effort;
pub(crate) mod interruption;
pub(crate) mod outputs;
mod parts;
pub(crate) mod plan;
pub(crate) mod process;
mod progress;
pub mod protocol;
mod schedule;
mod tracing;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::cli::{CompareArgs, SweepArgs};
use crate::comparisons::{self, ArmKey, Question};
use crate::error::CommandError;
use crate::merge::again;
use crate::merge::shard::Shard;
use crate::provenance::Build;
use crate::registry::Registry;
use crate::results::{Comparison, Family, Remark, Results, Role, Run, Status, WorkloadInfo};
use crate::statistics::Looks;
use crate::terminal;
use crate::units;

pub(crate) use bench::Bench;
use binaries::Binary;
pub(crate) use counting::Counting;
use interruption::Interruption;
use outputs::{Formats, Outputs};
use plan::{Asked, Cell, Plan};
use progress::Progress;
use protocol::{Measured, Request};
use schedule::Schedule;

/// `lab compare`: measures, prints tables and verdicts, and writes the results and the report.
///
/// # Errors
/// [`CommandError::Usage`] before anything is measured; [`CommandError::Failed`] if a run crashed, timed out or gave a
/// wrong answer, or if the results can't be written; [`CommandError::Interrupted`] after a signal. In the last two
/// cases, what was measured is still written and printed.
pub fn run(
    registry: &Registry,
    build: &Build,
    arguments: &CompareArgs,
) -> Result<(), CommandError> {
    let shard = arguments.shard.as_deref();
    let shard = shard.map(|text| Shard::read(text, |name| std::env::var(name).ok()));
    let shard = shard.transpose().map_err(CommandError::Usage)?;
    let mut plan = Plan::new(registry, &Asked::from(arguments))?;
    let mut folder = arguments.keep.out.clone();
    if let Some(shard) = shard {
        plan.keep(shard)?;
        // Several shards may run at once in one folder.
        folder.get_or_insert_with(|| {
            format!(
                "{}/shard-{}-of-{}",
                outputs::DEFAULT_FOLDER,
                shard.index,
                shard.of
            )
            .into()
        });
    }
    let formats = Formats::prepare(&arguments.formats)?;
    let outputs = Outputs::prepare(folder, arguments.keep.json.clone(), arguments.csv.clone())?;
    let counting = Counting {
        syscalls: arguments.count_syscalls,
        instructions: arguments.count_instructions,
        timelines: (!arguments.no_timelines).then(|| plan.effort.time_for_timelines()),
    };
    carry_out(
        &plan,
        build,
        &outputs.with(formats),
        counting,
        arguments.keep.no_progress,
    )
}

/// `lab sweep`: like `lab compare`, for every combination of policies, knobs and workers, and shown as a matrix.
///
/// # Errors
/// Those of [`run`].
pub fn sweep(
    registry: &Registry,
    build: &Build,
    arguments: &SweepArgs,
) -> Result<(), CommandError> {
    let plan = Plan::new(registry, &Asked::from(arguments))?;
    let outputs = Outputs::prepare(
        arguments.keep.out.clone(),
        arguments.keep.json.clone(),
        None,
    )?;
    carry_out(
        &plan,
        build,
        &outputs,
        Counting::default(),
        arguments.keep.no_progress,
    )
}

fn carry_out(
    plan: &Plan,
    build: &Build,
    outputs: &Outputs,
    counting: Counting,
    silent: bool,
) -> Result<(), CommandError> {
    let bench = Bench::prepare(silent)?;
    announce(plan, silent);
    let mut results = bench.describe(plan, build, outputs)?;
    bench.measure(plan, outputs, counting, &mut results)?;
    bench.conclude(plan, outputs, &results)
}

/// Announces what will be measured.
pub(crate) fn announce(plan: &Plan, silent: bool) {
    if silent {
        return;
    }
    let effort = &plan.effort;
    let whole = match effort.time_box {
        Some(time_box) => format!("at most {} s in all", time_box.as_secs()),
        None => "without a time limit".to_owned(),
    };
    let processes = units::counted(plan.round_size(), "process");
    let rounds = if effort.adaptive {
        format!(
            "{} of {processes}, then up to {} for what is undecided",
            units::counted(effort.next_look(0) as usize, "round"),
            effort.rounds
        )
    } else {
        let rounds = units::counted(effort.rounds as usize, "round");
        format!("{rounds} of {processes}")
    };
    // For this count, the same workload with other parameters is another workload.
    let cells = units::counted(plan.cells.len(), "workload");
    terminal::say(&format!("{cells}, {rounds}, {whole}; seed {}", plan.seed));
}

fn described(plan: &Plan) -> Vec<WorkloadInfo> {
    let mut described: Vec<WorkloadInfo> = Vec::new();
    for cell in &plan.cells {
        let workload = &cell.workload;
        if described.iter().all(|other| other.name != workload.name) {
            described.push(WorkloadInfo {
                name: workload.name.to_owned(),
                group: workload.group.title().to_owned(),
                about: workload.about.to_owned(),
                op: workload.op.to_owned(),
                metric: workload.metric.to_owned(),
            });
        }
    }
    described
}

fn runs_of<'a>(cell: &Cell, runs: &'a [Run]) -> Vec<&'a Run> {
    runs.iter()
        .filter(|run| run.workload == cell.workload.name && run.params == cell.params)
        .collect()
}

fn compared(plan: &Plan, looks: &[Looks], runs: &[Run]) -> Vec<Comparison> {
    let cells = plan.cells.iter().zip(looks);
    cells
        .flat_map(|(cell, looks)| compared_in(plan, cell, looks, &runs_of(cell, runs)))
        .collect()
}

fn compared_in(plan: &Plan, cell: &Cell, looks: &Looks, runs: &[&Run]) -> Vec<Comparison> {
    comparisons::of_cell(runs, &question(plan, cell, looks))
}

fn question<'a>(plan: &Plan, cell: &'a Cell, looks: &'a Looks) -> Question<'a> {
    Question {
        baselines: &cell.baselines,
        best_of: &cell.best_of,
        metric: cell.workload.metric,
        margin: plan.effort.margin,
        looks: (!plan.effort.intervals_only).then_some(looks),
    }
}

/// The question for each cell, stored for later comparisons of the same results.
fn families(plan: &Plan, looks: &[Looks]) -> Vec<Family> {
    let cells = plan.cells.iter().zip(looks);
    let stored = |(cell, looks): (&Cell, &Looks)| {
        let question = question(plan, cell, looks);
        again::stored(cell.workload.name, &cell.params, &question)
    };
    cells.map(stored).collect()
}

fn remarks(plan: &Plan, runs: &[Run]) -> Vec<Remark> {
    plan.cells
        .iter()
        .flat_map(|cell| comparisons::remarks(&runs_of(cell, runs), cell.workload.metric))
        .collect()
}

/// Whether a command must not end with code 0 after a run with this status.
fn must_not_pass(status: Status) -> bool {
    matches!(
        status,
        Status::WrongAnswer | Status::Crashed | Status::TimedOut
    )
}

/// One line about the runs whose failure must be reported; `None` if there are none.
fn failures(runs: &[Run]) -> Option<String> {
    let failed: Vec<&Run> = runs
        .iter()
        .filter(|run| must_not_pass(run.status))
        .collect();
    let first = failed.first()?;
    let error = first.error.as_deref().unwrap_or("no message");
    let line = format!(
        "{} under {}: {}: {error}",
        first.workload,
        first.runtime,
        first.status.describe()
    );
    Some(match failed.len() {
        1 => format!("{line}; all other figures are kept"),
        count => format!(
            "{line}; and {}; all other figures are kept",
            units::counted(count - 1, "more failed run")
        ),
    })
}

/// The loop over rounds.
struct Measuring<'a> {
    plan: &'a Plan,
    outputs: &'a Outputs,
    interruption: &'a Interruption,
    progress: Progress,
    measure: &'a dyn Fn(Option<&Binary>, &Request, Duration) -> process::Outcome,
    results: &'a mut Results,
    /// The looks at each cell.
    looks: Vec<Looks>,
}

impl Measuring<'_> {
    fn all(&mut self) {
        self.rounds();
        // The time limit or a signal ended the measurement, and not its result, so this look is legitimate.
        let made = self.results.runs.iter().map(|run| run.round + 1).max();
        for cell in 0..self.plan.cells.len() {
            if !self.is_decided(cell) {
                self.looks[cell].finish(made.unwrap_or(0));
            }
        }
    }

    /// Whether all of a cell's verdicts were decided at the last look.
    fn is_decided(&self, cell: usize) -> bool {
        let made = !self.looks[cell].made().is_empty();
        made && self.undecided(cell).is_empty()
    }

    /// The arms of a cell whose verdicts were undecided at the last look.
    fn undecided(&self, cell: usize) -> BTreeSet<ArmKey> {
        let what = &self.plan.cells[cell];
        let runs = runs_of(what, &self.results.runs);
        let compared = compared_in(self.plan, what, &self.looks[cell], &runs);
        let headline = comparisons::headline(what.workload.metric, &runs);
        comparisons::undecided(&compared, headline)
    }

    /// Looks at what was measured. Arms whose verdicts are decided are not measured further.
    fn look(&mut self, rounds: u32, schedule: &mut Schedule<'_>) {
        for (cell, what) in self.plan.cells.iter().enumerate() {
            if self.is_decided(cell) {
                continue;
            }
            self.looks[cell].interim(rounds);
            let undecided = self.undecided(cell);
            for (arm, one) in what.arms.iter().enumerate() {
                // An A/A arm continues with its twin, or measures the noise for arms that continue.
                let waits = match one.role {
                    Role::Arm => undecided.contains(&one.key()),
                    Role::Repeat => !undecided.is_empty(),
                };
                let twin = what.arms.iter().any(|other| {
                    let repeated = other.role == Role::Repeat && !undecided.is_empty();
                    repeated && other.key().with_role(Role::Arm) == one.key()
                });
                if !waits && !twin {
                    schedule.decide(cell, arm);
                }
            }
        }
    }

    fn rounds(&mut self) {
        let mut schedule = Schedule::new(self.plan);
        let started = Instant::now();
        for round in 0..self.plan.effort.rounds {
            if self.plan.effort.is_interim(round) {
                self.look(round, &mut schedule);
            }
            if schedule.is_done() {
                return;
            }
            let Some(budget) = schedule.budget(round, started.elapsed()) else {
                // An adaptive run normally ends with its time limit.
                if round < self.plan.effort.next_look(0) {
                    let note = format!(
                        "{round} of {} rounds: the time limit was reached",
                        self.plan.effort.next_look(0)
                    );
                    self.progress.say(&note);
                    self.results.notes.push(note);
                }
                return;
            };
            self.progress
                .round(round, self.plan.effort.rounds, started.elapsed());
            for (cell, arm) in schedule.order() {
                if schedule.left_out(cell, arm) {
                    self.progress.done();
                    continue;
                }
                let Some(limit) = schedule.limit(round, started.elapsed()) else {
                    let note = format!(
                        "round {} is not complete: the time limit was reached",
                        round + 1
                    );
                    self.progress.say(&note);
                    self.results.notes.push(note);
                    return;
                };
                let begun = Instant::now();
                let outcome = self.one(round, cell, arm, budget, limit);
                if self.interruption.requested() {
                    return;
                }
                schedule.took(begun.elapsed(), budget);
                let run = self.record(round, cell, arm, outcome);
                if schedule.failed(cell, arm, run.status) {
                    let parameters = crate::summary::parameters(&run.params);
                    let line = format!(
                        "{} ({parameters}) under {} is given up",
                        run.workload, run.runtime
                    );
                    self.progress.say(&line);
                    // The results already explain that a runtime is not installed.
                    if run.status != Status::NotInstalled {
                        self.results.notes.push(line);
                    }
                }
                self.results.runs.push(run);
                self.progress.done();
            }
            self.outputs.keep_unfinished(self.results);
        }
    }

    fn one(
        &self,
        round: u32,
        cell: usize,
        arm: usize,
        budget: Duration,
        limit: Duration,
    ) -> process::Outcome {
        let request = self.request(round, cell, arm, budget);
        let binary = self.binary(cell, arm);
        let cell = &self.plan.cells[cell];
        self.progress
            .process(round, cell.workload.name, cell.arms[arm].runtime);
        (self.measure)(binary, &request, limit)
    }

    fn request(&self, round: u32, cell: usize, arm: usize, budget: Duration) -> Request {
        let cell = &self.plan.cells[cell];
        let arm = &cell.arms[arm];
        // All arms of a round get the same input; the next round gets another one.
        let seed = self.plan.seed.wrapping_add(u64::from(round));
        arm.request(cell.workload.name, &cell.params, budget, seed)
    }

    /// The other build in which an arm is measured; `None` for this build.
    fn binary(&self, cell: usize, arm: usize) -> Option<&Binary> {
        let name = self.plan.cells[cell].arms[arm].binary.as_ref()?;
        self.plan.binaries.get(name)
    }

    fn record(&self, round: u32, cell: usize, arm: usize, outcome: process::Outcome) -> Run {
        let cell = &self.plan.cells[cell];
        let arm = &cell.arms[arm];
        let (status, error, measured) = match outcome {
            Ok(measured) => (Status::Ok, None, measured),
            Err((status, error)) => {
                self.progress.say(&format!(
                    "{} under {}: {}: {error}",
                    cell.workload.name,
                    arm.runtime,
                    status.describe()
                ));
                (status, Some(error), Measured::default())
            }
        };
        let sum = |field: fn(&crate::results::Sample) -> u64| {
            (status == Status::Ok).then(|| measured.samples.iter().map(field).sum())
        };
        Run {
            environment: arm
                .binary
                .clone()
                .unwrap_or_else(|| self.results.environments[0].id.clone()),
            workload: cell.workload.name.to_owned(),
            params: cell.params.clone(),
            mode: cell.workload.mode_with(&cell.params).name().to_owned(),
            runtime: arm.runtime.to_owned(),
            role: arm.role,
            config: crate::results::Config {
                workers: measured.workers,
                reactor: measured.reactor.clone(),
                allocator: measured.allocator.clone(),
                ..arm.config()
            },
            round,
            status,
            error,
            ops: sum(|sample| sample.ops),
            wall_ns: sum(|sample| sample.wall_ns),
            cpu_ns: sum(|sample| sample.cpu_ns),
            cpu_user_ns: measured.cpu_user_ns,
            cpu_system_ns: measured.cpu_system_ns,
            flags: measured.flags,
            client_cpu_ns: measured.client_cpu_ns,
            client_late_ns: measured.client_late_ns,
            peak_rss_bytes: measured.peak_rss_bytes,
            voluntary_switches: measured.voluntary_switches,
            involuntary_switches: measured.involuntary_switches,
            page_faults: measured.page_faults,
            samples: measured.samples,
            latency_ns: measured.latency_ns,
            histogram_hdr_base64: measured.histogram_hdr_base64,
            extra: measured.extra,
        }
    }
}
