//! The runs of one cell as values, and its comparisons.

use std::collections::{BTreeMap, BTreeSet};

use super::arm_key::ArmKey;
use super::metrics::{CPU, TIME, headline, series, withholding_flag};
use super::question::{Against, Baseline, Question};
use crate::results::{Comparison, Config, Role, Run, Status};
use crate::statistics::{self, Hypothesis, Judgement, Series};

pub(super) fn reversed(judgement: &Judgement) -> Judgement {
    Judgement {
        estimate: judgement.estimate.map(|estimate| -estimate),
        interval: judgement.interval.map(|[low, high]| [-high, -low]),
        verdict: judgement.verdict.reversed(),
        ..*judgement
    }
}

/// A comparison of `key` with `baseline` in `metric`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pair {
    pub(super) metric: String,
    pub(super) baseline: ArmKey,
    pub(super) key: ArmKey,
}

impl Pair {
    pub(super) fn new(metric: &str, baseline: &ArmKey, key: &ArmKey) -> Self {
        Self {
            metric: metric.to_owned(),
            baseline: baseline.clone(),
            key: key.clone(),
        }
    }

    pub(super) fn reversed(&self) -> Self {
        Self::new(&self.metric, &self.key, &self.baseline)
    }
}

/// A cell's values by arm and metric.
pub(super) struct Cell<'a> {
    runs: &'a [&'a Run],
    question: &'a Question<'a>,
    pub(super) metrics: Vec<&'a str>,
    keys: Vec<ArmKey>,
    values: BTreeMap<(ArmKey, &'a str), Series>,
    /// The arms that are actually the baselines, in the order of the question's baselines.
    pub(super) resolved: Vec<ArmKey>,
}

impl<'a> Cell<'a> {
    pub(super) fn new(runs: &'a [&'a Run], question: &'a Question<'a>) -> Self {
        let mut metrics = vec![TIME, CPU];
        if !metrics.contains(&question.metric) {
            metrics.insert(0, question.metric);
        }
        let mut keys: Vec<ArmKey> = Vec::new();
        for run in runs {
            let key = ArmKey::of(run);
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        let values = keys
            .iter()
            .flat_map(|key| {
                metrics
                    .iter()
                    .map(|&metric| ((key.clone(), metric), series(runs, key, metric)))
            })
            .collect();
        let mut cell = Self {
            runs,
            question,
            metrics,
            keys,
            values,
            resolved: Vec::new(),
        };
        cell.resolved = question
            .baselines
            .iter()
            .map(|baseline| match baseline.of {
                Against::All => cell.best().unwrap_or_else(|| baseline.key.clone()),
                Against::OwnRuntime => baseline.key.clone(),
            })
            .collect();
        cell
    }

    pub(super) fn has(&self, key: &ArmKey) -> bool {
        self.keys.contains(key)
    }

    fn values(&self, key: &ArmKey, metric: &str) -> &[(u32, f64)] {
        self.values
            .iter()
            .find(|((other, name), _)| other == key && *name == metric)
            .map_or(&[], |(_, series)| series.as_slice())
    }

    /// The candidate with the smallest median in the headline metric at the first look. After that look, the baseline
    /// does not change.
    fn best(&self) -> Option<ArmKey> {
        let first = self.question.looks.and_then(|looks| looks.made().first());
        let rounds = first.map_or(u32::MAX, |look| look.rounds);
        let metric = headline(self.question.metric, self.runs);
        let median = |key: &ArmKey| {
            let early: Vec<f64> = self
                .values(key, metric)
                .iter()
                .filter(|(round, _)| *round < rounds)
                .map(|&(_, log)| log)
                .collect();
            statistics::median(&early)
        };
        self.question
            .best_of
            .iter()
            .filter_map(|key| Some((median(key)?, key)))
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, key)| key.clone())
    }

    /// The arms that are compared with a baseline, which is `resolved`.
    pub(super) fn compared_with(
        &self,
        baseline: &Baseline,
        resolved: &ArmKey,
    ) -> impl Iterator<Item = &ArmKey> {
        self.keys.iter().filter(move |key| {
            key.role == Role::Arm
                && *key != resolved
                && (baseline.of == Against::All || key.runtime == resolved.runtime)
        })
    }

    /// The family of pairs whose verdicts are sought together: each pair that contains a possible baseline, once.
    pub(super) fn family(&self) -> Vec<Pair> {
        let mut family: BTreeSet<Pair> = BTreeSet::new();
        let best_of = self.question.best_of;
        for (baseline, resolved) in self.question.baselines.iter().zip(&self.resolved) {
            let may_be: Vec<&ArmKey> = match baseline.of {
                Against::All if best_of.contains(resolved) => best_of.iter().collect(),
                _ => vec![resolved],
            };
            for one in may_be {
                for key in self.compared_with(baseline, one) {
                    for &metric in &self.metrics {
                        let pair = Pair::new(metric, one, key);
                        let known = family.contains(&pair.reversed());
                        if withholding_flag(metric, self.runs).is_none() && !known {
                            family.insert(pair);
                        }
                    }
                }
            }
        }
        // An arm without figures is in no pair, and costs the others no error rate.
        family.retain(|pair| !self.differences(pair).is_empty());
        family.into_iter().collect()
    }

    /// The log ratios of the rounds in which both arms were measured.
    pub(super) fn differences(&self, pair: &Pair) -> Series {
        let baseline: BTreeMap<u32, f64> = self
            .values(&pair.baseline, &pair.metric)
            .iter()
            .copied()
            .collect();
        self.values(&pair.key, &pair.metric)
            .iter()
            .filter_map(|(round, log)| Some((*round, log - baseline.get(round)?)))
            .collect()
    }

    pub(super) fn hypothesis(&self, pair: &Pair) -> Hypothesis {
        let anchor = self
            .question
            .baselines
            .iter()
            .zip(&self.resolved)
            .find(|(_, resolved)| **resolved == pair.baseline || **resolved == pair.key)
            .or_else(|| self.question.baselines.iter().zip(&self.resolved).next());
        Hypothesis {
            differences: self.differences(pair),
            noise: anchor.map_or_else(Series::new, |(baseline, _)| {
                self.noise(&baseline.key, &pair.metric)
            }),
        }
    }

    /// The log ratios between an arm and its A/A arm.
    fn noise(&self, anchor: &ArmKey, metric: &str) -> Series {
        self.differences(&Pair::new(metric, anchor, &anchor.with_role(Role::Repeat)))
    }

    /// `anchor` is the arm whose A/A arm measures the noise; `None` for the A/A comparison itself.
    pub(super) fn comparison(
        &self,
        pair: &Pair,
        judgement: &Judgement,
        anchor: Option<&ArmKey>,
    ) -> Comparison {
        let first = self.runs[0];
        let flag = withholding_flag(&pair.metric, self.runs);
        let withheld = match anchor {
            None => Some("a/a".to_owned()),
            Some(_) => flag.map(str::to_owned),
        };
        let noise = self.noise(anchor.unwrap_or(&pair.baseline), &pair.metric);
        let noise = statistics::interval_only(&noise).estimate;
        let sought = withheld.is_none();
        Comparison {
            workload: first.workload.clone(),
            params: first.params.clone(),
            mode: first.mode.clone(),
            metric: pair.metric.clone(),
            runtime: pair.key.runtime.clone(),
            role: pair.key.role,
            config: config(self.runs, &pair.key),
            baseline: pair.baseline.runtime.clone(),
            baseline_config: config(self.runs, &pair.baseline),
            processes: judgement.pairs,
            ratio: judgement.estimate.map(f64::exp),
            ci95: judgement.interval.map(|ends| ends.map(f64::exp)),
            level: judgement.interval.map(|_| judgement.level),
            interval_method: judgement.interval.map(|_| {
                let method = if judgement.exact {
                    "signed-rank"
                } else {
                    "student-t"
                };
                method.to_owned()
            }),
            p_value: judgement.p_value,
            noise_floor: noise.map(|estimate| (estimate.exp() - 1.0).abs()),
            margin: (sought && self.question.looks.is_some()).then_some(self.question.margin),
            verdict: sought.then_some(judgement.verdict),
            more_rounds: judgement.more_rounds.filter(|_| sought),
            withheld,
        }
    }
}

/// An arm's actual configuration, or the requested one if all its runs failed.
fn config(runs: &[&Run], key: &ArmKey) -> Config {
    let arm = || runs.iter().filter(|run| ArmKey::of(run) == *key);
    arm()
        .find(|run| run.status == Status::Ok)
        .or_else(|| arm().next())
        .map(|run| run.config.clone())
        .unwrap_or_default()
}
