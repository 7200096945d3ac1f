//! Results for other programs: tables for web pages, monitoring systems, and regression trackers.
//!
//! The figures are the medians in the lab's own tables, so that no two outputs disagree. The rounds themselves are in
//! the JSON and in the table of runs.

mod bencher;
mod history;
mod markdown;
mod open_metrics;
mod runs_csv;

pub(crate) use bencher::bencher;
pub(crate) use history::history;
pub(crate) use markdown::markdown;
pub(crate) use open_metrics::open_metrics;
pub(crate) use runs_csv::runs_csv;

use crate::results::{Count, Results, Role};
use crate::summary::{self, Row, Section};

/// An arm's figures, as these formats show them.
struct Arm {
    section: Section,
    row: Row,
}

/// Every arm that was compared and produced a figure, in the order of the tables. Sections about one runtime's choices
/// repeat arms and are left out.
fn arms(results: &Results) -> Vec<Arm> {
    let sections = summary::sections(results).into_iter();
    sections
        .filter(|section| section.choices_of.is_none())
        .flat_map(|section| {
            let rows = section.rows.clone().into_iter();
            let rows = rows.filter(|row| row.role == Role::Arm && !row.medians.is_empty());
            rows.map(move |row| Arm {
                section: section.clone(),
                row,
            })
        })
        .collect()
}

impl Arm {
    /// `echo/bytes=64,connections=64/mn no-steal`: a name that stays the same from run to run.
    fn name(&self) -> String {
        let params = summary::parameters(&self.section.params).replace(", ", ",");
        let middle = if params.is_empty() {
            params
        } else {
            format!("{params}/")
        };
        format!("{}/{middle}{}", self.section.workload.name, self.row.label)
    }

    /// The counts from the arm's separate run.
    fn counts<'a>(&'a self, results: &'a Results) -> impl Iterator<Item = &'a Count> {
        results.counts.iter().filter(|count| {
            let choices = &self.row.choices;
            count.workload == self.section.workload.name
                && count.params == self.section.params
                && count.runtime == self.row.runtime
                && choices.get("policy") == count.config.policy.as_ref()
                && count
                    .config
                    .knobs
                    .iter()
                    .all(|(name, value)| choices.get(name) == Some(value))
                && count.config.without == self.row.without
                && count
                    .config
                    .binary
                    .as_ref()
                    .is_none_or(|binary| self.row.label.contains(binary))
        })
    }

    /// The medians by metric, and the counts per operation.
    fn figures(&self, results: &Results) -> Vec<(String, f64)> {
        let medians = self.row.medians.iter();
        let medians = medians.map(|(name, value)| (name.clone(), *value));
        let counted = self.counts(results).flat_map(Count::per_op);
        medians.chain(counted).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::comparisons::tests::{run, with};
    use crate::results::{Config, Environment, WorkloadInfo};

    /// Two arms of `echo`: mn at 100 ns per operation, and one with an odd name at 200 ns.
    pub(crate) fn results() -> Results {
        let mut runs = Vec::new();
        for round in 0..12 {
            runs.push(run("mn", Role::Arm, round, 1000));
            runs.push(run("mn", Role::Repeat, round, 1000));
            runs.push(run("a|b", Role::Arm, round, 2000));
        }
        for run in &mut runs {
            run.params.insert("text".into(), 7);
        }
        Results {
            comparisons: with("mn", &runs, false),
            environments: vec![Environment {
                id: "e1".into(),
                cores: 2,
                started_unix_s: Some(1_000_000_000),
                ..Environment::default()
            }],
            counts: vec![Count {
                workload: "echo".into(),
                params: runs[0].params.clone(),
                runtime: "mn".into(),
                config: Config::default(),
                ops: 10,
                syscalls: Some(25),
                ..Count::default()
            }],
            workloads: vec![WorkloadInfo {
                name: "echo".into(),
                group: "IO-bound".into(),
                about: String::new(),
                op: "one round trip".into(),
                metric: "wall_ns_per_op".into(),
            }],
            runs,
            ..Results::default()
        }
    }
}
