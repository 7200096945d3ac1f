//! One more process of each arm, in which system calls, wake-ups and instructions are counted. It is in no comparison.

use std::time::Duration;

use super::Measuring;
use super::process;
use super::protocol::{Aside, Measured, Request};
use crate::costs::callgrind;
use crate::results::{Count, Role, Status};

/// Long enough for some thousand operations.
const BUDGET: Duration = Duration::from_millis(50);
const LIMIT: Duration = Duration::from_secs(30);
/// Callgrind is some fifty times slower than the processor.
const SIMULATED_BUDGET: Duration = Duration::from_millis(200);
const SIMULATED_LIMIT: Duration = Duration::from_secs(120);

/// What is to be counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counting {
    pub(super) syscalls: bool,
    pub(super) instructions: bool,
}

impl Measuring<'_> {
    /// Counts each arm, in the order of the tables.
    pub(super) fn count(&mut self, asked: Counting) {
        if !asked.syscalls && !asked.instructions {
            return;
        }
        for cell in 0..self.plan.cells.len() {
            for arm in 0..self.plan.cells[cell].arms.len() {
                if self.interruption.requested() {
                    return;
                }
                if self.plan.cells[cell].arms[arm].role == Role::Arm {
                    self.count_one(cell, arm, asked);
                }
            }
        }
    }

    fn count_one(&mut self, cell: usize, arm: usize, asked: Counting) {
        let mut request = self.request(0, cell, arm, BUDGET);
        request.aside = Some(Aside::Count);
        self.progress.say(&format!(
            "counting {} under {}",
            request.workload, request.runtime
        ));
        let binary = self.binary(cell, arm);
        let outcome = (self.measure)(binary, &request, LIMIT);
        let mut count = self.begin(cell, arm, "perf events");
        let mut threads = None;
        match outcome {
            Ok(measured) => {
                threads = measured.workers;
                fill(&mut count, &measured, asked);
            }
            Err((status, error)) => count.error = Some(explained(status, &error)),
        }
        let missing = asked.instructions && count.instructions.is_none();
        if asked.syscalls || count.instructions.is_some() {
            self.results.counts.push(count);
        }
        if missing {
            let count = self.simulated(cell, arm, &request, threads);
            self.results.counts.push(count);
        }
    }

    /// By callgrind, if that is there and the arm has one thread.
    fn simulated(&self, cell: usize, arm: usize, request: &Request, threads: Option<u64>) -> Count {
        let mut count = self.begin(cell, arm, "callgrind");
        let why = if threads != Some(1) {
            Some(
                "the arm has more than one thread, and the processor does not count instructions here",
            )
        } else if self.binary(cell, arm).is_some() {
            Some("another build is not counted by callgrind")
        } else if !callgrind::is_installed() {
            Some("the processor does not count instructions here; install valgrind")
        } else {
            None
        };
        count.error = why.map(str::to_owned);
        if why.is_none()
            && let Err((status, error)) = self.simulate(request, &mut count)
        {
            count.error = Some(explained(status, &error));
        }
        count
    }

    fn simulate(&self, request: &Request, count: &mut Count) -> Result<(), (Status, String)> {
        let system = |error: std::io::Error| (Status::Refused, error.to_string());
        let folder = tempfile::tempdir().map_err(system)?;
        // The link in `/proc` would be callgrind's own.
        let program = std::env::current_exe().map_err(system)?;
        let request = Request {
            aside: None,
            budget_ns: u64::try_from(SIMULATED_BUDGET.as_nanos()).unwrap_or(u64::MAX),
            ..request.clone()
        };
        let measured = process::measure_under(
            &callgrind::command(folder.path()),
            &program,
            &request,
            SIMULATED_LIMIT,
            self.interruption,
        )?;
        count.ops = measured.samples.iter().map(|sample| sample.ops).sum();
        count.instructions = callgrind::instructions(folder.path());
        if count.instructions.is_none() {
            count.error = Some("callgrind wrote no counts".to_owned());
        }
        Ok(())
    }

    fn begin(&self, cell: usize, arm: usize, counted_by: &str) -> Count {
        let cell = &self.plan.cells[cell];
        let arm = &cell.arms[arm];
        Count {
            workload: cell.workload.name.to_owned(),
            params: cell.params.clone(),
            runtime: arm.runtime.to_owned(),
            config: arm.config(),
            counted_by: counted_by.to_owned(),
            ..Count::default()
        }
    }
}

fn fill(count: &mut Count, measured: &Measured, asked: Counting) {
    count.ops = measured.samples.iter().map(|sample| sample.ops).sum();
    count.config.workers = measured.workers;
    match &measured.counted {
        Some(counted) => {
            count.syscalls = counted.syscalls.filter(|_| asked.syscalls);
            count.wakeups = counted.wakeups.filter(|_| asked.syscalls);
            count.instructions = counted.instructions.filter(|_| asked.instructions);
            count.error.clone_from(&counted.error);
        }
        None => count.error = Some("this build of the lab does not count".to_owned()),
    }
}

fn explained(status: Status, error: &str) -> String {
    format!("{}: {error}", status.describe())
}
