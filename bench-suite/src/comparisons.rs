//! From runs to comparisons: which metrics, against which baseline, and where no verdict may be given.

use std::collections::{BTreeMap, BTreeSet};

use crate::results::{Comparison, Config, Role, Run, Status, Verdict};
use crate::statistics::{self, Ratio};

/// Flags under which time says more about the client or the machine than about the runtime.
const NO_TIME_VERDICT: [&str; 2] = ["client_bound", "shares_cores"];
const TIME: &str = "wall_ns_per_op";
const CPU: &str = "cpu_ns_per_op";

/// What tells the arms of one cell apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ArmKey {
    pub(crate) runtime: String,
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

/// All comparisons of one cell with its baselines, each baseline's A/A first. `metric` is the workload's own.
pub(crate) fn of_cell(
    runs: &[&Run],
    baselines: &[Baseline],
    metric: &str,
    intervals_only: bool,
) -> Vec<Comparison> {
    baselines
        .iter()
        .flat_map(|baseline| with_baseline(runs, baseline, metric, intervals_only))
        .collect()
}

fn with_baseline(
    runs: &[&Run],
    baseline: &Baseline,
    metric: &str,
    intervals_only: bool,
) -> Vec<Comparison> {
    let repeat = ArmKey {
        role: Role::Repeat,
        ..baseline.key.clone()
    };
    let mut keys: Vec<ArmKey> = Vec::new();
    for run in runs {
        let key = ArmKey::of(run);
        let compared = match (key.role, baseline.of) {
            (Role::Repeat, _) => key == repeat,
            (Role::Arm, Against::All) => key != baseline.key,
            (Role::Arm, Against::OwnRuntime) => {
                key.runtime == baseline.key.runtime && key != baseline.key
            }
        };
        if compared && !keys.contains(&key) {
            keys.push(key);
        }
    }
    let baseline = &baseline.key;
    let mut metrics = vec![TIME, CPU];
    if !metrics.contains(&metric) {
        metrics.insert(0, metric);
    }
    let mut comparisons = Vec::new();
    for metric in metrics {
        let ratio_of = |key: &ArmKey| statistics::paired_ratio(&pairs(runs, key, baseline, metric));
        let noise_floor = ratio_of(&repeat).map(|ratio| (ratio.ratio - 1.0).abs());
        let flag = withholding_flag(metric, runs);
        for key in &keys {
            let ratio = ratio_of(key);
            let withheld = match key.role {
                Role::Repeat => Some("a/a".to_owned()),
                Role::Arm => flag.map(str::to_owned),
            };
            let verdict = withheld
                .is_none()
                .then(|| verdict(ratio.as_ref(), noise_floor, intervals_only));
            comparisons.push(comparison(
                runs,
                key,
                baseline,
                metric,
                ratio,
                noise_floor,
                verdict,
                withheld,
            ));
        }
    }
    comparisons.sort_by_key(|comparison| comparison.role != Role::Repeat);
    comparisons
}

fn verdict(ratio: Option<&Ratio>, noise_floor: Option<f64>, intervals_only: bool) -> Verdict {
    match ratio {
        Some(ratio) if !intervals_only => statistics::verdict(ratio, noise_floor),
        _ => Verdict::NotEnoughData,
    }
}

/// The values of the rounds in which both were measured.
fn pairs(runs: &[&Run], key: &ArmKey, baseline: &ArmKey, metric: &str) -> Vec<(f64, f64)> {
    let by_round = |key: &ArmKey| -> BTreeMap<u32, f64> {
        runs.iter()
            .filter(|run| ArmKey::of(run) == *key)
            .filter_map(|run| Some((run.round, run.value(metric)?)))
            .collect()
    };
    let baseline = by_round(baseline);
    by_round(key)
        .into_iter()
        .filter_map(|(round, value)| Some((value, *baseline.get(&round)?)))
        .collect()
}

#[expect(clippy::too_many_arguments, reason = "it only puts a record together")]
fn comparison(
    runs: &[&Run],
    key: &ArmKey,
    baseline: &ArmKey,
    metric: &str,
    ratio: Option<Ratio>,
    noise_floor: Option<f64>,
    verdict: Option<Verdict>,
    withheld: Option<String>,
) -> Comparison {
    let first = runs[0];
    Comparison {
        workload: first.workload.clone(),
        params: first.params.clone(),
        mode: first.mode.clone(),
        metric: metric.to_owned(),
        runtime: key.runtime.clone(),
        role: key.role,
        config: config(runs, key),
        baseline: baseline.runtime.clone(),
        baseline_config: config(runs, baseline),
        processes: ratio.map_or(0, |ratio| u32::try_from(ratio.pairs).unwrap_or(u32::MAX)),
        ratio: ratio.map(|ratio| ratio.ratio),
        ci95: ratio.and_then(|ratio| ratio.ci95),
        noise_floor,
        verdict,
        withheld,
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

    /// All comparisons with `runtime`, as it is by default.
    pub(crate) fn with(runtime: &str, runs: &[Run], intervals_only: bool) -> Vec<Comparison> {
        let baseline = Baseline {
            key: ArmKey::new(runtime, &Config::default(), Role::Arm),
            of: Against::All,
        };
        of_cell(
            &runs.iter().collect::<Vec<_>>(),
            &[baseline],
            TIME,
            intervals_only,
        )
    }

    fn find<'a>(all: &'a [Comparison], runtime: &str, role: Role, metric: &str) -> &'a Comparison {
        all.iter()
            .find(|one| one.runtime == runtime && one.role == role && one.metric == metric)
            .unwrap()
    }

    #[test]
    fn a_clear_difference_over_ten_processes_is_better() {
        let runs = rounds(10);
        let all = with("tokio-mt", &runs, false);
        let mn = find(&all, "mn", Role::Arm, TIME);
        assert_eq!((mn.verdict, mn.processes), (Some(Verdict::Better), 10));
        assert!((mn.ratio.unwrap() - 0.5).abs() < 1e-3);
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
    fn fewer_processes_or_a_quick_look_give_no_verdict() {
        let runs = rounds(9);
        let all = with("tokio-mt", &runs, false);
        assert_eq!(
            find(&all, "mn", Role::Arm, TIME).verdict,
            Some(Verdict::NotEnoughData)
        );
        let runs = rounds(12);
        let all = with("tokio-mt", &runs, true);
        assert_eq!(
            find(&all, "mn", Role::Arm, TIME).verdict,
            Some(Verdict::NotEnoughData)
        );
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
        assert_eq!(
            find(&all, "mn", Role::Arm, CPU).verdict,
            Some(Verdict::Better)
        );
        assert_eq!(headline(TIME, &runs.iter().collect::<Vec<_>>()), CPU);
    }

    #[test]
    fn a_round_that_failed_on_one_side_is_no_pair() {
        let mut runs = rounds(10);
        let failed = runs.iter_mut().find(|run| run.runtime == "mn").unwrap();
        failed.status = Status::Crashed;
        let all = with("tokio-mt", &runs, false);
        let mn = find(&all, "mn", Role::Arm, TIME);
        assert_eq!(
            (mn.processes, mn.verdict),
            (9, Some(Verdict::NotEnoughData))
        );
        for run in runs.iter_mut().filter(|run| run.runtime == "mn") {
            run.status = Status::Crashed;
        }
        let all = with("tokio-mt", &runs, false);
        assert_eq!(find(&all, "mn", Role::Arm, TIME).ratio, None);
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
        let all = of_cell(&runs.iter().collect::<Vec<_>>(), &baselines, TIME, false);
        let ratios = |baseline: &str, role: Role| -> Vec<(Option<String>, f64)> {
            all.iter()
                .filter(|one| one.baseline == baseline && one.role == role && one.metric == TIME)
                .map(|one| (one.config.policy.clone(), one.ratio.unwrap().round()))
                .collect()
        };
        let named = |name: &str| Some(name.to_owned());
        assert_eq!(
            ratios("tokio-mt", Role::Arm),
            [(named("a"), 1.0), (named("b"), 4.0)]
        );
        assert_eq!(ratios("mn", Role::Arm), [(named("b"), 8.0)]);
        assert_eq!(ratios("tokio-mt", Role::Repeat), [(None, 1.0)]);
        assert_eq!(ratios("mn", Role::Repeat), [(named("a"), 1.0)]);
    }
}
