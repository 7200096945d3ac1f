//! `lab diff`: compares two stored results, from their raw rounds.
//!
//! The rounds of two runs are not paired, so the difference includes drift between the runs. The test is the rank-sum
//! test, with the interval that belongs to it. Each workload is one family of tests. It is more sensitive to measure
//! both builds in one run, with `--binary`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::cli::DiffArgs;
use crate::comparisons::{self, ArmKey};
use crate::error::CommandError;
use crate::results::{Results, Role, Run, Verdict};
use crate::statistics::{LEVEL, RankTest, holm, rank_sum, verdict_of};
use crate::summary;
use crate::terminal::{self, wrapped};
use crate::units;

/// An arm in both results.
#[derive(Clone, Debug, PartialEq)]
struct Change {
    name: String,
    metric: String,
    values: [usize; 2],
    ratio: Option<f64>,
    interval: Option<[f64; 2]>,
    verdict: Verdict,
}

/// `lab diff`.
///
/// # Errors
/// [`CommandError::Usage`] if the results can't be read or have nothing in common; [`CommandError::Failed`] on a
/// regression.
pub(crate) fn run(arguments: &DiffArgs) -> Result<(), CommandError> {
    let read = |path| Results::read(path).map_err(|error| CommandError::Usage(error.to_string()));
    let (old, new) = (read(&arguments.old)?, read(&arguments.new)?);
    let margin = arguments.margin / 100.0;
    if !(margin > 0.0 && margin <= 1.0) {
        return Err(CommandError::Usage(format!(
            "--margin {} is out of range; a percentage of more than 0 and up to 100",
            arguments.margin
        )));
    }
    let changes = changes(&old, &new, margin);
    if changes.is_empty() {
        return Err(CommandError::Usage(format!(
            "{} and {} have no arm of a workload in common; measure the same ones",
            arguments.old.display(),
            arguments.new.display()
        )));
    }
    let mut text = String::new();
    for line in lines(&old, &new, &changes, margin) {
        let _ = writeln!(text, "{}", wrapped(&line, terminal::width(), 2));
    }
    terminal::print(&text)?;
    let worse: Vec<&Change> = changes
        .iter()
        .filter(|change| change.verdict == Verdict::Worse)
        .collect();
    match worse.as_slice() {
        [] => Ok(()),
        [first, ..] => Err(CommandError::Failed(format!(
            "{} regression{}: {} {}",
            worse.len(),
            if worse.len() == 1 { "" } else { "s" },
            first.name,
            units::ratio(first.ratio, first.interval),
        ))),
    }
}

fn lines(old: &Results, new: &Results, changes: &[Change], margin: f64) -> Vec<String> {
    let mut lines: Vec<String> = differences_of_machines(old, new)
        .map(|what| format!("Note: {what} differs; the figures may differ for that."))
        .collect();
    for change in changes {
        let verdict = match change.verdict {
            Verdict::NoDifference => {
                format!("{} beyond {}", change.verdict, units::percent(margin))
            }
            other => other.to_string(),
        };
        lines.push(format!(
            "{}: {} of the old {}, {verdict} ({} and {} processes)",
            change.name,
            units::ratio(change.ratio, change.interval),
            units::metric_title(&change.metric),
            change.values[0],
            change.values[1],
        ));
    }
    lines
}

/// How the two machines differ.
fn differences_of_machines(old: &Results, new: &Results) -> impl Iterator<Item = &'static str> {
    let facts = |results: &Results| {
        let one = results.environments.first().cloned().unwrap_or_default();
        [
            ("the processor", one.cpu),
            ("the number of cores", Some(one.cores.to_string())),
            ("the kernel", one.kernel),
            ("the compiler", one.rustc),
            ("the profile", Some(one.profile)),
        ]
    };
    facts(old)
        .into_iter()
        .zip(facts(new))
        .filter(|((_, old), (_, new))| old != new)
        .map(|((name, _), _)| name)
}

/// Every arm that both results have, in the order of the old results.
fn changes(old: &Results, new: &Results, margin: f64) -> Vec<Change> {
    let mut cells: Vec<(&str, &BTreeMap<String, u64>)> = Vec::new();
    for run in &old.runs {
        let cell = (run.workload.as_str(), &run.params);
        if !cells.contains(&cell) {
            cells.push(cell);
        }
    }
    cells
        .into_iter()
        .flat_map(|(workload, params)| {
            let of = |results| runs_of(results, workload, params);
            let own = old.workloads.iter().find(|one| one.name == workload);
            let metric = own.map_or("wall_ns_per_op", |one| one.metric.as_str());
            changes_of_cell(&of(old), &of(new), metric, margin)
        })
        .collect()
}

fn runs_of<'a>(
    results: &'a Results,
    workload: &str,
    params: &BTreeMap<String, u64>,
) -> Vec<&'a Run> {
    results
        .runs
        .iter()
        .filter(|run| run.workload == workload && run.params == *params)
        .collect()
}

fn changes_of_cell(old: &[&Run], new: &[&Run], metric: &str, margin: f64) -> Vec<Change> {
    let both: Vec<&Run> = old.iter().chain(new).copied().collect();
    let metric = comparisons::headline(metric, &both);
    let keys = |runs: &[&Run]| -> BTreeSet<ArmKey> {
        let arms = runs.iter().filter(|run| run.role == Role::Arm);
        arms.map(|run| ArmKey::of(run)).collect()
    };
    let common: Vec<ArmKey> = keys(old).intersection(&keys(new)).cloned().collect();
    let logs = |runs: &[&Run], key: &ArmKey| -> Vec<f64> {
        let own = runs.iter().filter(|run| ArmKey::of(run) == *key);
        own.filter_map(|run| Some(run.value(metric)?.ln()))
            .filter(|log| log.is_finite())
            .collect()
    };
    // The largest difference between an arm and its A/A repeat in either session, if one was measured.
    let noise = [old, new]
        .into_iter()
        .flat_map(|runs| {
            common.iter().filter_map(|key| {
                let again = logs(runs, &key.with_role(Role::Repeat));
                Some(rank_sum(&again, &logs(runs, key))?.estimate().abs())
            })
        })
        .fold(0.0, f64::max);
    let samples: Vec<Sample> = common
        .iter()
        .map(|key| {
            let (before, after) = (logs(old, key), logs(new, key));
            Sample {
                name: name(key, old[0]),
                test: rank_sum(&after, &before),
                values: [before.len(), after.len()],
            }
        })
        .collect();
    let p_value = |sample: &Sample| sample.test.as_ref().map_or(1.0, |test| test.p_value(0.0));
    let p_values: Vec<f64> = samples.iter().map(p_value).collect();
    let tested = holm(&p_values, LEVEL, 0);
    samples
        .into_iter()
        .zip(tested)
        .map(|(sample, (_, level))| sample.judge(metric, margin, level, noise))
        .collect()
}

/// The rounds of an arm in both results.
struct Sample {
    name: String,
    test: Option<RankTest>,
    values: [usize; 2],
}

impl Sample {
    fn judge(self, metric: &str, margin: f64, level: f64, noise: f64) -> Change {
        let interval = self.test.as_ref().and_then(|test| test.interval(level));
        let estimate = self.test.as_ref().map(RankTest::estimate);
        Change {
            name: self.name,
            metric: metric.to_owned(),
            values: self.values,
            ratio: estimate.map(f64::exp),
            interval: interval.map(|ends| ends.map(f64::exp)),
            verdict: match (estimate, interval) {
                (Some(estimate), Some(interval)) => {
                    verdict_of(estimate, interval, margin.ln_1p(), noise)
                }
                _ => Verdict::NotEnoughData,
            },
        }
    }
}

/// `echo (connections=64) under mn`.
fn name(key: &ArmKey, run: &Run) -> String {
    let parameters = summary::parameters(&run.params);
    let mut choices: Vec<String> = key.binary.iter().chain(&key.policy).cloned().collect();
    choices.extend(
        key.knobs
            .iter()
            .map(|(name, value)| format!("{name}={value}")),
    );
    let brackets = |text: String| {
        if text.is_empty() {
            text
        } else {
            format!(" ({text})")
        }
    };
    format!(
        "{}{} under {}{}",
        run.workload,
        brackets(parameters),
        key.runtime,
        brackets(choices.join(", "))
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparisons::tests::run;

    fn results(nanoseconds: u64, rounds: u32, seed: u64) -> Results {
        let mut random = fastrand::Rng::with_seed(seed);
        let runs = (0..rounds)
            .flat_map(|round| {
                let mut one = |runtime, time: u64| {
                    run(runtime, Role::Arm, round, time * 100 + random.u64(0..time))
                };
                [one("mn", nanoseconds), one("n1", 5000)]
            })
            .collect();
        Results {
            runs,
            ..Results::default()
        }
    }

    fn verdicts(old: &Results, new: &Results) -> Vec<(String, Verdict)> {
        let changes = changes(old, new, 0.02);
        changes
            .into_iter()
            .map(|one| (one.name, one.verdict))
            .collect()
    }

    #[test]
    fn only_the_slower_arm_is_a_regression() {
        let old = results(1000, 12, 1);
        let new = results(1100, 12, 2);
        assert_eq!(
            verdicts(&old, &new),
            [
                ("echo under mn".to_owned(), Verdict::Worse),
                ("echo under n1".to_owned(), Verdict::NoDifference)
            ]
        );
        assert_eq!(verdicts(&new, &old)[0].1, Verdict::Better);
    }

    #[test]
    fn three_rounds_do_not_decide_and_unrelated_results_share_no_cell() {
        let (old, new) = (results(1000, 3, 1), results(2000, 3, 2));
        assert!(
            verdicts(&old, &new)
                .iter()
                .all(|one| one.1 == Verdict::NotEnoughData)
        );
        let mut other = new.clone();
        other
            .runs
            .iter_mut()
            .for_each(|run| run.runtime = "x".into());
        assert!(changes(&old, &other, 0.02).is_empty());
    }
}
