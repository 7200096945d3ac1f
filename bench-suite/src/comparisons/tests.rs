use super::metrics::{CPU, TIME};
use super::*;
use crate::results::{Config, Status};
use crate::statistics::Looks;

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
    // Time and CPU time form one family.
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
fn a_round_that_failed_on_one_side_is_not_a_pair() {
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
    // n1 and mn with each other, and each of them with tokio, in time and in CPU time.
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
fn policies_of_one_runtime_are_also_compared_with_each_other() {
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
