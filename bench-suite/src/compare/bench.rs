//! Starts processes of this program for measuring, collects their results, and writes them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::binaries::Binary;
use super::counting::Counting;
use super::interruption::Interruption;
use super::outputs::Outputs;
use super::plan::Plan;
use super::progress::Progress;
use super::protocol::Request;
use super::{Measuring, compared, described, failures, families, must_not_pass, process, remarks};
use crate::curves;
use crate::environment;
use crate::error::CommandError;
use crate::peers::external;
use crate::provenance::Build;
use crate::results::{Environment, Results, SCHEMA, Status};
use crate::statistics::{self, Looks};
use crate::table;
use crate::terminal;

/// Measures in processes of this program, until a signal arrives.
pub(crate) struct Bench {
    interruption: Interruption,
    program: PathBuf,
    silent: bool,
    /// The first failure outside the planned rounds.
    failed: RefCell<Option<String>>,
}

impl Bench {
    /// # Errors
    /// If signals can't be handled, or the program can't be found.
    pub(crate) fn prepare(silent: bool) -> Result<Self, CommandError> {
        let system =
            |what: &str, error: std::io::Error| CommandError::Failed(format!("{what}: {error}"));
        Ok(Self {
            interruption: Interruption::listen()
                .map_err(|error| system("cannot listen for signals", error))?,
            program: process::own_program()
                .map_err(|error| system("cannot find its own program", error))?,
            silent,
            failed: RefCell::new(None),
        })
    }

    /// True once a signal has asked the lab to stop.
    pub(crate) fn interrupted(&self) -> bool {
        self.interruption.requested()
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.silent
    }

    /// Prints a line on standard error, unless silenced.
    pub(crate) fn say(&self, line: &str) {
        if !self.silent {
            terminal::say(line);
        }
    }

    /// Remembers the failure of a process that is not part of a run. `line` names the process.
    pub(crate) fn note_failure(&self, status: Status, line: &str) {
        if must_not_pass(status) && !self.interrupted() {
            self.failed
                .borrow_mut()
                .get_or_insert_with(|| line.to_owned());
        }
    }

    /// Runs one process of this build or of another one.
    pub(crate) fn ask(
        &self,
        binary: Option<&Binary>,
        request: &Request,
        limit: Duration,
    ) -> process::Outcome {
        let program = binary.map_or(self.program.as_path(), |binary| binary.path.as_path());
        process::measure(program, request, limit, &self.interruption)
    }

    /// Prepares peers and memory, and returns results that have no runs yet.
    ///
    /// # Errors
    /// If a certificate exists and can't be read.
    pub(crate) fn describe(
        &self,
        plan: &Plan,
        build: &Build,
        outputs: &Outputs,
    ) -> Result<Results, CommandError> {
        let runtimes = plan
            .cells
            .iter()
            .flat_map(|cell| cell.arms.iter().map(|arm| arm.runtime));
        let versions = external::prepare(runtimes, |line| self.say(line));
        let begun = environment::Instant::now();
        // A quick run has little time to warm up.
        let (bytes, time) = if plan.effort.intervals_only {
            (1 << 28, Duration::from_millis(50))
        } else {
            (1 << 30, Duration::from_millis(300))
        };
        environment::warm_memory(bytes);
        environment::warm_processors(time);
        let conditions = environment::before(begun);
        let mut results = Results {
            schema: SCHEMA.to_owned(),
            environments: vec![environment::describe(plan.seed, build)],
            method: Some(statistics::METHOD.to_owned()),
            notes: plan.notes.clone(),
            workloads: described(plan),
            absent: plan.absent.clone(),
            default_policies: plan.default_policies.clone(),
            certificate: Some(outputs.certificate()?),
            sweep: plan.sweep.clone(),
            ..Results::default()
        };
        results.environments[0].versions.extend(versions);
        results.environments[0].shard = plan.shard.map(|shard| shard.to_string());
        results.environments[0].conditions = Some(conditions);
        let builds = plan.binaries.iter().map(|(name, binary)| Environment {
            id: name.clone(),
            program: Some(format!("{} ({})", binary.version, binary.path.display())),
            commit: None,
            rustc: None,
            profile: "unknown".to_owned(),
            profile_settings: BTreeMap::new(),
            versions: BTreeMap::new(),
            ..results.environments[0].clone()
        });
        let builds: Vec<Environment> = builds.collect();
        results.environments.extend(builds);
        Ok(results)
    }

    /// Measures the plan round by round, and compares.
    ///
    /// # Errors
    /// [`CommandError::Interrupted`] if nothing was measured.
    pub(crate) fn measure(
        &self,
        plan: &Plan,
        outputs: &Outputs,
        counting: Counting,
        results: &mut Results,
    ) -> Result<(), CommandError> {
        let measuring_begun = environment::Instant::now();
        let mut measuring = Measuring {
            plan,
            outputs,
            interruption: &self.interruption,
            progress: Progress::new(
                plan.round_size() as u64 * u64::from(plan.effort.rounds),
                self.silent,
            ),
            measure: &|binary, request, limit| self.ask(binary, request, limit),
            results,
            looks: vec![Looks::default(); plan.cells.len()],
        };
        measuring.all();
        measuring.count(counting);
        if let Some(time_box) = counting.timelines {
            measuring.trace(time_box);
        }
        let looks = measuring.looks.clone();
        measuring.progress.finish();
        if results.runs.is_empty() {
            outputs.discard_unfinished();
            return Err(CommandError::Interrupted(
                "interrupted before anything was measured; nothing was written".to_owned(),
            ));
        }
        environment::after(&mut results.environments[0], measuring_begun);
        let doubts = environment::doubts(&results.environments[0]);
        results.notes.extend(doubts);
        results.families = families(plan, &looks);
        results.comparisons = compared(plan, &looks, &results.runs);
        results.remarks = remarks(plan, &results.runs);
        Ok(())
    }

    /// Writes and prints the results.
    ///
    /// # Errors
    /// Errors of writing; [`CommandError::Interrupted`] after a signal; [`CommandError::Failed`] if a run failed.
    pub(crate) fn conclude(
        &self,
        plan: &Plan,
        outputs: &Outputs,
        results: &Results,
    ) -> Result<(), CommandError> {
        // Write before printing, because the reader of the output may be gone. Also write after an interruption, to
        // keep what was measured.
        let written = outputs.write(results);
        let printed = if outputs.take_standard_output() {
            Ok(())
        } else {
            let width = terminal::width();
            let tables = table::render(results, width);
            let load = curves::render(results, width);
            let answer = table::answer(results, width);
            let written = written.as_deref().unwrap_or_default();
            terminal::print(&format!("{tables}{written}{answer}{load}"))
        };
        written?;
        if self.interrupted() {
            let probes: usize = results.capacities.iter().map(|one| one.probes.len()).sum();
            return Err(CommandError::Interrupted(
                match (results.runs.len(), probes) {
                    (0, probes) => {
                        format!("interrupted after {probes} probes; what was measured is written")
                    }
                    (runs, _) => format!(
                        "interrupted after {runs} of {} processes; what was measured is written",
                        plan.round_size() as u64 * u64::from(plan.effort.rounds),
                    ),
                },
            ));
        }
        let failed = self.failed.borrow().clone();
        let failed = failed.map(|line| format!("{line}; all other figures are kept"));
        failures(&results.runs)
            .or(failed)
            .map_or(printed, |line| Err(CommandError::Failed(line)))
    }
}
