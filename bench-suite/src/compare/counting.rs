//! Counts system calls, wake-ups and instructions in one more process of each arm. It takes part in no comparison.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::Measuring;
use super::process;
use super::protocol::{Aside, Measured, Request};
use crate::costs::{callgrind, strace};
use crate::peers::external;
use crate::results::{Count, Role, Status};

/// Long enough for some thousand operations.
const BUDGET: Duration = Duration::from_millis(50);
const LIMIT: Duration = Duration::from_secs(30);
/// Callgrind is about fifty times slower than the processor.
const SIMULATED_BUDGET: Duration = Duration::from_millis(200);
const SLOWED_LIMIT: Duration = Duration::from_secs(120);

/// What to count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counting {
    pub(super) syscalls: bool,
    pub(super) instructions: bool,
    /// The time for recording timelines; `None` records none.
    pub(super) timelines: Option<Duration>,
}

impl Measuring<'_> {
    /// Counts in each arm, in the order of the tables.
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
        if asked.syscalls
            && count.syscalls.is_none()
            && let Some(traced) = self.traced(cell, arm, &request)
        {
            self.results.counts.push(traced);
        } else if asked.syscalls || count.instructions.is_some() {
            self.results.counts.push(count);
        }
        if missing {
            let count = self.simulated(cell, arm, &request, threads);
            self.results.counts.push(count);
        }
    }

    /// Counts system calls with strace; `None` if that is impossible. A peer's calls could not be separated from those
    /// of its parent.
    fn traced(&self, cell: usize, arm: usize, request: &Request) -> Option<Count> {
        let external = external::find(&request.runtime).is_some();
        if external || self.binary(cell, arm).is_some() || !strace::is_allowed() {
            return None;
        }
        let mut count = self.begin(cell, arm, "strace");
        let request = Request {
            aside: Some(Aside::Traced),
            ..request.clone()
        };
        let (measured, folder) = self.under(strace::command, &request).ok()?;
        if measured.counted.as_ref()?.error.is_some() {
            return None;
        }
        count.ops = measured.samples.iter().map(|sample| sample.ops).sum();
        count.syscalls = strace::syscalls(folder.path());
        count.syscalls.is_some().then_some(count)
    }

    /// Counts instructions with callgrind, if it is installed and the arm has one thread.
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
        let request = Request {
            aside: None,
            budget_ns: u64::try_from(SIMULATED_BUDGET.as_nanos()).unwrap_or(u64::MAX),
            ..request.clone()
        };
        let (measured, folder) = self.under(callgrind::command, &request)?;
        count.ops = measured.samples.iter().map(|sample| sample.ops).sum();
        count.instructions = callgrind::instructions(folder.path());
        if count.instructions.is_none() {
            count.error = Some("callgrind wrote no counts".to_owned());
        }
        Ok(())
    }

    /// Runs a child under another program. That program writes into the returned folder.
    fn under(
        &self,
        words: fn(&Path) -> Vec<OsString>,
        request: &Request,
    ) -> Result<(Measured, TempDir), (Status, String)> {
        let system = |error: std::io::Error| (Status::Refused, error.to_string());
        let folder = tempfile::tempdir().map_err(system)?;
        // Under the other program, the link in `/proc` would lead to that program.
        let program = std::env::current_exe().map_err(system)?;
        let words = words(folder.path());
        let limit = SLOWED_LIMIT;
        let outcome = process::measure_under(&words, &program, request, limit, self.interruption);
        outcome.map(|measured| (measured, folder))
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
