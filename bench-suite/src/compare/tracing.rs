//! Records one more process of each arm of this project: where its time went, and the start of its timeline. It takes
//! part in no comparison.

use std::time::{Duration, Instant};

use super::Measuring;
use super::protocol::Aside;
use crate::results::{Config, Role, TracedRun};

/// Long enough for more events than are kept.
const BUDGET: Duration = Duration::from_millis(25);
const LIMIT: Duration = Duration::from_secs(5);

impl Measuring<'_> {
    /// Records each arm that can be recorded, in the order of the tables, until the time is over.
    pub(super) fn trace(&mut self, time_box: Duration) {
        let begun = Instant::now();
        let mut late = 0;
        for cell in 0..self.plan.cells.len() {
            for arm in 0..self.plan.cells[cell].arms.len() {
                let one = &self.plan.cells[cell].arms[arm];
                let recorded = self.plan.recorded.contains(&one.runtime);
                if one.role != Role::Arm || !recorded || one.binary.is_some() {
                    continue;
                }
                if self.interruption.requested() {
                    return;
                }
                if begun.elapsed() < time_box {
                    self.trace_one(cell, arm);
                } else {
                    late += 1;
                }
            }
        }
        if late > 0 {
            let note = format!("{late} timelines were not recorded: the time limit was reached");
            self.progress.say(&note);
            self.results.notes.push(note);
        }
    }

    fn trace_one(&mut self, cell: usize, arm: usize) {
        let mut request = self.request(0, cell, arm, BUDGET);
        request.aside = Some(Aside::Timeline);
        let outcome = (self.measure)(None, &request, LIMIT);
        // The outcome is that of a killed process.
        if self.interruption.requested() {
            return;
        }
        let cell = &self.plan.cells[cell];
        let arm = &cell.arms[arm];
        let (workers, excerpt, error) = match outcome {
            Ok(measured) if measured.excerpt.is_none() => (
                measured.workers,
                None,
                Some("nothing was recorded".to_owned()),
            ),
            Ok(measured) => (measured.workers, measured.excerpt, None),
            Err((status, error)) => (None, None, Some(format!("{}: {error}", status.describe()))),
        };
        self.results.traced.push(TracedRun {
            workload: cell.workload.name.to_owned(),
            params: cell.params.clone(),
            runtime: arm.runtime.to_owned(),
            config: Config {
                workers,
                ..arm.config()
            },
            excerpt,
            error,
        });
    }
}
