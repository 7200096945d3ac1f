//! From runs to comparisons: which metrics, against which baseline, and where no verdict may be given.

use std::collections::{BTreeMap, BTreeSet};

use crate::results::{Comparison, Config, Remark, Role, Run, Status, Verdict};
use crate::statistics::{self, Hypothesis, Judgement, Looks, Series};

/// Flags under which time says more about the client or the machine than about the runtime.
const NO_TIME_VERDICT: [&str; 2] = ["client_bound", "shares_cores"];
const TIME: &str = "wall_ns_per_op";
const CPU: &str = "cpu_ns_per_op";

/// What tells the arms of one cell apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ArmKey {
    pub(crate) runtime: String,
    pub(crate) binary: Option<String>,
    pub(crate) policy: Option<String>,
    pub(crate) knobs: BTreeMap<String, String>,
    pub(crate) without: BTreeSet<String>,
    pub(crate) workers: Option<u64>,
    pub(crate) role: Role,
}

impl ArmKey {
    /// Of what was asked for: what a failed run really had is not known.
    pub(crate) fn new(runtime: &str, config: &Config, role: Role) -> Self {
        Self {
            runtime: runtime.to_owned(),
            binary: config.binary.clone(),
            policy: config.policy.clone(),
            knobs: config.knobs.clone(),
            without: config.without.clone(),
            workers: config.workers_asked,
            role,
        }
    }

    pub(crate) fn of(run: &Run) -> Self {
        Self::new(&run.runtime, &run.config, run.role)
    }

    pub(crate) fn of_comparison(comparison: &Comparison) -> Self {
        Self::new(&comparison.runtime, &comparison.config, comparison.role)
    }

    pub(crate) fn of_baseline(comparison: &Comparison) -> Self {
        Self::new(&comparison.baseline, &comparison.baseline_config, Role::Arm)
    }

    /// The arm that this one measures once more, or the other way round.
    pub(crate) fn with_role(&self, role: Role) -> Self {
        Self {
            role,
            ..self.clone()
        }
    }
}

/// An arm that others are compared with. It is measured twice a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Baseline {
    pub(crate) key: ArmKey,
    pub(crate) of: Against,
}

/// Who is compared with a baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Against {
    /// Every other arm.
    All,
    /// The other arms of its own runtime: one policy against another.
    OwnRuntime,
}

/// What is asked of a cell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    /// The one of all first. Each has an A/A arm.
    pub(crate) baselines: &'a [Baseline],
    /// If there are any, the best of these is the baseline of all, instead: all pairs with them are one family.
    pub(crate) best_of: &'a [ArmKey],
    /// The workload's own metric.
    pub(crate) metric: &'a str,
    /// Of equivalence, as ratio - 1.
    pub(crate) margin: f64,
    /// `None` seeks no verdict.
    pub(crate) looks: Option<&'a Looks>,
}

/// The flag that forbids a verdict on `metric`, if one does.
pub(crate) fn withholding_flag<'a>(metric: &str, runs: &[&'a Run]) -> Option<&'a str> {
    if metric != TIME {
        return None;
    }
    runs.iter()
        .flat_map(|run| run.flags.iter())
        .find(|flag| NO_TIME_VERDICT.contains(&flag.as_str()))
        .map(String::as_str)
}

/// The metric that stands in the table: the workload's own, or CPU time where time may not be judged.
pub(crate) fn headline<'a>(metric: &'a str, runs: &[&Run]) -> &'a str {
    if withholding_flag(metric, runs).is_some() {
        CPU
    } else {
        metric
    }
}

/// All comparisons of one cell with its baselines, each baseline's A/A first.
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

/// The arms that a verdict in the headline metric still waits for; none if everything is decided.
pub(crate) fn undecided(comparisons: &[Comparison], headline: &str) -> BTreeSet<ArmKey> {
    comparisons
        .iter()
        .filter(|one| one.metric == headline && one.verdict == Some(Verdict::NotEnoughData))
        // More rounds do not help an arm that fails.
        .filter(|one| one.ratio.is_some())
        .flat_map(|one| [ArmKey::of_comparison(one), ArmKey::of_baseline(one)])
        .collect()
}

/// What the medians of a cell's arms hide, in the metric that is judged.
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

/// The logarithms of an arm's values by round.
fn series(runs: &[&Run], key: &ArmKey, metric: &str) -> Series {
    let mut series: Series = runs
        .iter()
        .filter(|run| ArmKey::of(run) == *key)
        .filter_map(|run| Some((run.round, run.value(metric)?.ln())))
        .filter(|(_, log)| log.is_finite())
        .collect();
    series.sort_by_key(|one| one.0);
    series
}

fn reversed(judgement: &Judgement) -> Judgement {
    Judgement {
        estimate: judgement.estimate.map(|estimate| -estimate),
        interval: judgement.interval.map(|[low, high]| [-high, -low]),
        verdict: judgement.verdict.reversed(),
        ..*judgement
    }
}

/// `key` against `baseline` in `metric`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Pair {
    metric: String,
    baseline: ArmKey,
    key: ArmKey,
}

impl Pair {
    fn new(metric: &str, baseline: &ArmKey, key: &ArmKey) -> Self {
        Self {
            metric: metric.to_owned(),
            baseline: baseline.clone(),
            key: key.clone(),
        }
    }

    fn reversed(&self) -> Self {
        Self::new(&self.metric, &self.key, &self.baseline)
    }
}

/// A cell's values by arm and metric.
struct Cell<'a> {
    runs: &'a [&'a Run],
    question: &'a Question<'a>,
    metrics: Vec<&'a str>,
    keys: Vec<ArmKey>,
    values: BTreeMap<(ArmKey, &'a str), Series>,
    /// The arms that the others are really compared with, in the order of the baselines.
    resolved: Vec<ArmKey>,
}

impl<'a> Cell<'a> {
    fn new(runs: &'a [&'a Run], question: &'a Question<'a>) -> Self {
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

    fn has(&self, key: &ArmKey) -> bool {
        self.keys.contains(key)
    }

    fn values(&self, key: &ArmKey, metric: &str) -> &[(u32, f64)] {
        self.values
            .iter()
            .find(|((other, name), _)| other == key && *name == metric)
            .map_or(&[], |(_, series)| series.as_slice())
    }

    /// The candidate with the smallest median in the headline metric, as it was at the first look: who the others are
    /// compared with does not change any more.
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
    fn compared_with(
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

    /// The pairs on which verdicts are sought together, each once: those with any arm that may be the baseline.
    fn family(&self) -> Vec<Pair> {
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
        // An arm that gave no figure is in no pair, and takes nothing from the others.
        family.retain(|pair| !self.differences(pair).is_empty());
        family.into_iter().collect()
    }

    /// The log ratios of the rounds in which both were measured.
    fn differences(&self, pair: &Pair) -> Series {
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

    fn hypothesis(&self, pair: &Pair) -> Hypothesis {
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

    /// The log ratios of an arm to its A/A arm.
    fn noise(&self, anchor: &ArmKey, metric: &str) -> Series {
        self.differences(&Pair::new(metric, anchor, &anchor.with_role(Role::Repeat)))
    }

    /// `anchor` is the arm whose A/A arm tells the noise; `None` for that one itself.
    fn comparison(
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

/// The configuration that an arm really had; a failed run knows only what was asked for.
fn config(runs: &[&Run], key: &ArmKey) -> Config {
    let arm = || runs.iter().filter(|run| ArmKey::of(run) == *key);
    arm()
        .find(|run| run.status == Status::Ok)
        .or_else(|| arm().next())
        .map(|run| run.config.clone())
        .unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn run(runtime: &str, role: Role, round: u32, wall_ns: u64) -> Run {
        Run {
            environment: "e1".into(),
            workload: "echo".into(),
            params: BTreeMap::new(),
            mode: "closed".into(),
            runtime: runtime.into(),
            role,
            config: Config::default(),
            round,
            status: Status::Ok,
            error: None,
            flags: Vec::new(),
            ops: Some(10),
            wall_ns: Some(wall_ns),
            cpu_ns: Some(wall_ns * 2),
            cpu_user_ns: Some(wall_ns),
            cpu_system_ns: Some(wall_ns),
            client_cpu_ns: None,
            client_late_ns: None,
            peak_rss_bytes: Some(4096),
            voluntary_switches: Some(1),
            involuntary_switches: Some(0),
            page_faults: Some(3),
            samples: Vec::new(),
            latency_ns: None,
            histogram_hdr_base64: None,
            extra: BTreeMap::new(),
        }
    }

    fn rounds(count: u32) -> Vec<Run> {
        (0..count)
            .flat_map(|round| {
                let drift = 1000 + u64::from(round) * 100;
                [
                    run("tokio-mt", Role::Arm, round, drift),
                    run(
                        "tokio-mt",
                        Role::Repeat,
                        round,
                        drift + u64::from(round % 2),
                    ),
                    run("mn", Role::Arm, round, drift / 2),
                ]
            })
            .collect()
    }

    fn one_look(rounds: u32) -> Looks {
        let mut looks = Looks::default();
        looks.finish(rounds);
        looks
    }

    /// All comparisons with `runtime`, after one look at all rounds.
    pub(crate) fn with(runtime: &str, runs: &[Run], intervals_only: bool) -> Vec<Comparison> {
        let baseline = Baseline {
            key: ArmKey::new(runtime, &Config::default(), Role::Arm),
            of: Against::All,
        };
        among(&[baseline], &[], runs, intervals_only)
    }

    pub(crate) fn among(
        baselines: &[Baseline],
        best_of: &[ArmKey],
        runs: &[Run],
        intervals_only: bool,
    ) -> Vec<Comparison> {
        let looks = one_look(u32::MAX);
        let question = Question {
            baselines,
            best_of,
            metric: TIME,
            margin: 0.02,
            looks: (!intervals_only).then_some(&looks),
        };
        of_cell(&runs.iter().collect::<Vec<_>>(), &question)
    }

    fn find<'a>(all: &'a [Comparison], runtime: &str, role: Role, metric: &str) -> &'a Comparison {
        all.iter()
            .find(|one| one.runtime == runtime && one.role == role && one.metric == metric)
            .unwrap()
    }

    #[test]
    fn a_clear_difference_is_better_and_a_drift_that_both_have_cancels_out() {
        let runs = rounds(10);
        let all = with("tokio-mt", &runs, false);
        let mn = find(&all, "mn", Role::Arm, TIME);
        assert_eq!((mn.verdict, mn.processes), (Some(Verdict::Better), 10));
        assert!((mn.ratio.unwrap() - 0.5).abs() < 1e-3);
        assert_eq!(mn.interval_method.as_deref(), Some("signed-rank"));
        // Time and CPU time are one family.
        assert!(mn.level >= Some(0.025) && mn.margin == Some(0.02));
        let repeat = find(&all, "tokio-mt", Role::Repeat, TIME);
        assert_eq!(
            (repeat.verdict, repeat.withheld.as_deref()),
            (None, Some("a/a"))
        );
        assert!(
            all.iter()
                .all(|one| one.role == Role::Repeat || one.runtime != "tokio-mt")
        );
    }

    #[test]
    fn too_few_processes_or_a_quick_look_give_no_verdict() {
        let runs = rounds(5);
        let all = with("tokio-mt", &runs, false);
        let mn = find(&all, "mn", Role::Arm, TIME);
        assert_eq!(mn.verdict, Some(Verdict::NotEnoughData));
        assert_eq!(mn.interval_method.as_deref(), Some("student-t"));
        assert_eq!(mn.more_rounds, Some(2), "2 / 2^7 is less than 0.05 / 2");
        let runs = rounds(12);
        let all = with("tokio-mt", &runs, true);
        let mn = find(&all, "mn", Role::Arm, TIME);
        assert_eq!(mn.verdict, Some(Verdict::NotEnoughData));
        assert_eq!((mn.margin, mn.more_rounds), (None, None));
    }

    #[test]
    fn shared_cores_withhold_the_verdict_on_time_and_move_the_headline() {
        let mut runs = rounds(10);
        for run in &mut runs {
            run.flags.push("shares_cores".into());
        }
        let all = with("tokio-mt", &runs, false);
        let time = find(&all, "mn", Role::Arm, TIME);
        assert_eq!(
            (time.verdict, time.withheld.as_deref()),
            (None, Some("shares_cores"))
        );
        assert!(time.ratio.is_some());
        let cpu = find(&all, "mn", Role::Arm, CPU);
        assert_eq!(cpu.verdict, Some(Verdict::Better));
        assert_eq!(cpu.level, Some(0.05), "it is alone in its family");
        assert_eq!(headline(TIME, &runs.iter().collect::<Vec<_>>()), CPU);
    }

    #[test]
    fn a_round_that_failed_on_one_side_is_no_pair() {
        let mut runs = rounds(10);
        let failed = runs.iter_mut().find(|run| run.runtime == "mn").unwrap();
        failed.status = Status::Crashed;
        let all = with("tokio-mt", &runs, false);
        let mn = find(&all, "mn", Role::Arm, TIME);
        assert_eq!((mn.processes, mn.verdict), (9, Some(Verdict::Better)));
        for run in runs.iter_mut().filter(|run| run.runtime == "mn") {
            run.status = Status::Crashed;
        }
        let all = with("tokio-mt", &runs, false);
        let mn = find(&all, "mn", Role::Arm, TIME);
        assert_eq!((mn.ratio, mn.verdict), (None, Some(Verdict::NotEnoughData)));
        assert!(undecided(&all, TIME).is_empty(), "it would fail again");
    }

    #[test]
    fn the_best_of_several_is_the_baseline_and_all_pairs_with_them_are_one_family() {
        let mut runs = rounds(12);
        for round in 0..12 {
            let drift = 1000 + u64::from(round) * 100;
            runs.push(run("n1", Role::Arm, round, drift * 2));
        }
        let key = |runtime: &str| ArmKey::new(runtime, &Config::default(), Role::Arm);
        let baseline = Baseline {
            key: key("n1"),
            of: Against::All,
        };
        let all = among(&[baseline], &[key("n1"), key("mn")], &runs, false);
        let n1 = find(&all, "n1", Role::Arm, TIME);
        assert_eq!(
            (n1.baseline.as_str(), n1.verdict),
            ("mn", Some(Verdict::Worse))
        );
        let tokio = find(&all, "tokio-mt", Role::Arm, TIME);
        assert_eq!(
            (tokio.baseline.as_str(), tokio.verdict),
            ("mn", Some(Verdict::Worse))
        );
        // n1 and mn with each other, and either with tokio; in time and in CPU time.
        let first = all.iter().filter_map(|one| one.level);
        assert!(first.fold(1.0, f64::min) <= 0.05 / 5.0);
        assert!(undecided(&all, TIME).is_empty());
    }

    #[test]
    fn rounds_that_are_not_alike_are_named() {
        let mut runs = rounds(12);
        for run in runs.iter_mut().filter(|run| run.runtime == "mn") {
            run.wall_ns = Some(if run.round == 3 { 9000 } else { 500 });
        }
        let remarks = remarks(&runs.iter().collect::<Vec<_>>(), TIME);
        let mn = remarks.iter().find(|one| one.runtime == "mn").unwrap();
        assert_eq!(mn.remark, "1 of 12 rounds far off (round 4)");
        let tokio = remarks.iter().find(|one| one.runtime == "tokio-mt");
        assert!(tokio.unwrap().remark.starts_with("drifts to "));
    }

    #[test]
    fn policies_of_one_runtime_are_compared_with_each_other_beside_the_usual_baseline() {
        let mut runs = rounds(10);
        for run in runs.iter_mut().filter(|run| run.runtime == "mn") {
            run.config.policy = Some("a".into());
        }
        for round in 0..10 {
            let mut other = run("mn", Role::Arm, round, 4000 + u64::from(round) * 400);
            other.config.policy = Some("b".into());
            let mut again = run("mn", Role::Repeat, round, 501 + u64::from(round) * 50);
            again.config.policy = Some("a".into());
            runs.extend([other, again]);
        }
        let a = Config {
            policy: Some("a".into()),
            ..Config::default()
        };
        let baselines = [
            Baseline {
                key: ArmKey::new("tokio-mt", &Config::default(), Role::Arm),
                of: Against::All,
            },
            Baseline {
                key: ArmKey::new("mn", &a, Role::Arm),
                of: Against::OwnRuntime,
            },
        ];
        let all = among(&baselines, &[], &runs, false);
        let ratios = |baseline: &str, role: Role| -> Vec<(Option<String>, f64)> {
            all.iter()
                .filter(|one| one.baseline == baseline && one.role == role && one.metric == TIME)
                .map(|one| {
                    (
                        one.config.policy.clone(),
                        (one.ratio.unwrap() * 10.0).round() / 10.0,
                    )
                })
                .collect()
        };
        let named = |name: &str| Some(name.to_owned());
        assert_eq!(
            ratios("tokio-mt", Role::Arm),
            [(named("a"), 0.5), (named("b"), 4.0)]
        );
        assert_eq!(ratios("mn", Role::Arm), [(named("b"), 8.0)]);
        assert_eq!(ratios("tokio-mt", Role::Repeat), [(None, 1.0)]);
        assert_eq!(ratios("mn", Role::Repeat), [(named("a"), 1.0)]);
    }
}
