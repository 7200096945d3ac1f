//! Turns runs into comparisons: which metrics, against which baseline, and where no verdict is allowed.

mod arm_key;
mod cell;
mod metrics;
mod question;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::results::{Comparison, Remark, Role, Run, Verdict};
use crate::statistics::{self, Hypothesis, Judgement};
use cell::{Cell, Pair, reversed};
use metrics::series;

pub(crate) use arm_key::ArmKey;
pub(crate) use metrics::headline;
pub(crate) use question::{Against, Baseline, Question};

/// All comparisons of one cell with its baselines. Each baseline's A/A comparison comes first.
pub(crate) fn of_cell(runs: &[&Run], question: &Question) -> Vec<Comparison> {
    if runs.is_empty() {
        return Vec::new();
    }
    let cell = Cell::new(runs, question);
    let family = cell.family();
    let judged = match question.looks {
        Some(looks) => {
            let hypotheses: Vec<Hypothesis> =
                family.iter().map(|pair| cell.hypothesis(pair)).collect();
            statistics::judge(&hypotheses, question.margin.ln_1p(), looks)
        }
        None => family
            .iter()
            .map(|pair| statistics::interval_only(&cell.differences(pair)))
            .collect(),
    };
    let judged: BTreeMap<&Pair, Judgement> = family.iter().zip(judged).collect();
    let mut comparisons = Vec::new();
    for (baseline, resolved) in question.baselines.iter().zip(&cell.resolved) {
        let repeat = baseline.key.with_role(Role::Repeat);
        for &metric in &cell.metrics {
            let pair = Pair::new(metric, &baseline.key, &repeat);
            if cell.has(&repeat) {
                let judgement = statistics::interval_only(&cell.differences(&pair));
                comparisons.push(cell.comparison(&pair, &judgement, None));
            }
        }
        for key in cell.compared_with(baseline, resolved) {
            for &metric in &cell.metrics {
                let pair = Pair::new(metric, resolved, key);
                let judgement = match (judged.get(&pair), judged.get(&pair.reversed())) {
                    (Some(judgement), _) => *judgement,
                    (None, Some(judgement)) => reversed(judgement),
                    (None, None) => statistics::interval_only(&cell.differences(&pair)),
                };
                comparisons.push(cell.comparison(&pair, &judgement, Some(&baseline.key)));
            }
        }
    }
    comparisons
}

/// The arms whose verdict in the headline metric needs more rounds; empty if everything is decided.
pub(crate) fn undecided(comparisons: &[Comparison], headline: &str) -> BTreeSet<ArmKey> {
    comparisons
        .iter()
        .filter(|one| one.metric == headline && one.verdict == Some(Verdict::NotEnoughData))
        // More rounds don't help an arm that fails.
        .filter(|one| one.ratio.is_some())
        .flat_map(|one| [ArmKey::of_comparison(one), ArmKey::of_baseline(one)])
        .collect()
}

/// What the medians of a cell's arms hide in the judged metric.
pub(crate) fn remarks(runs: &[&Run], metric: &str) -> Vec<Remark> {
    let metric = headline(metric, runs);
    let keys: BTreeSet<ArmKey> = runs.iter().map(|run| ArmKey::of(run)).collect();
    keys.iter()
        .filter_map(|key| {
            let remark = statistics::shape_of(&series(runs, key, metric)).describe()?;
            let first = runs.iter().find(|run| ArmKey::of(run) == *key)?;
            Some(Remark {
                workload: first.workload.clone(),
                params: first.params.clone(),
                metric: metric.to_owned(),
                runtime: key.runtime.clone(),
                role: key.role,
                config: first.config.clone(),
                remark,
            })
        })
        .collect()
}
