//! Stored results arranged for reading: one section per workload and parameters, one row per arm. The tables on the
//! terminal and the report both show this, so they can't disagree.

use std::collections::{BTreeMap, BTreeSet};

use crate::comparisons::{self, ArmKey};
use crate::median_interval::MedianInterval;
use crate::parts;
use crate::results::{Comparison, LatencyNs, Results, Role, Run, Status, Verdict, WorkloadInfo};
use crate::scheduler_counts::COUNTERS;
use crate::statistics::{MOST_ROUNDS, median};
use crate::units;

/// One workload with one set of parameters.
#[derive(Clone, Debug)]
pub struct Section {
    /// What the workload is.
    pub workload: WorkloadInfo,
    /// The runtime whose policies and knobs are compared with each other; `None` if it is about all runtimes.
    pub choices_of: Option<String>,
    /// Its parameters.
    pub params: BTreeMap<String, u64>,
    /// How load is put on.
    pub mode: String,
    /// Flags that any of its runs carries.
    pub flags: Vec<String>,
    /// What ratios and verdicts are about: the workload's metric, or CPU time where time may not be judged.
    pub metric: String,
    /// |ratio - 1| of the baseline against itself in that metric.
    pub noise_floor: Option<f64>,
    /// The arms, the baseline first and the A/A arm last.
    pub rows: Vec<Row>,
    /// Runtimes that do not have the workload, with the reason.
    pub absent: Vec<(String, String)>,
}

impl Section {
    /// What it is called: `echo`, or `echo: choices of mn`.
    pub fn name(&self) -> String {
        match &self.choices_of {
            Some(runtime) => format!("{}: choices of {runtime}", self.workload.name),
            None => self.workload.name.clone(),
        }
    }

    /// What the figures do not say by themselves, each with whom it is about: failures, rounds that are not alike, and
    /// an A/A arm that differs from its twin.
    pub fn remarks(&self) -> Vec<(&str, String)> {
        let mut remarks = Vec::new();
        for row in &self.rows {
            let label = row.label.as_str();
            remarks.extend(row.failures.iter().map(|failure| (label, failure.clone())));
            remarks.extend(row.remark.iter().map(|remark| (label, remark.clone())));
            let interval = row.comparison.as_ref().and_then(|one| one.ci95);
            if let (Role::Repeat, Some([low, high])) = (row.role, interval)
                && (low > 1.0 || high < 1.0)
            {
                let said = "differs from its twin, which one in twenty does; more of them make figures doubtful";
                remarks.push((label, said.to_owned()));
            }
        }
        remarks
    }

    /// The metrics that a table of this section shows: first what is judged, then what every table has, then what
    /// there is of other figures, the workload's own among them.
    pub fn columns(&self) -> Vec<String> {
        const ALWAYS: [&str; 2] = ["wall_ns_per_op", "cpu_ns_per_op"];
        const WHERE_MEASURED: [&str; 4] = [
            "latency_p50_ns",
            "latency_p99_ns",
            "latency_p999_ns",
            "client_late_p99_ns",
        ];
        const LAST: [&str; 3] = ["switches_per_op", "page_faults_per_op", "peak_rss_bytes"];
        let has = |metric: &str| self.rows.iter().any(|row| row.medians.contains_key(metric));
        let own = self.rows.iter().flat_map(|row| row.medians.keys());
        let own = own.filter(|name| {
            let metric = name.as_str();
            !METRICS.contains(&metric) && COUNTERS.iter().all(|(counter, _)| *counter != metric)
        });
        let mut columns = vec![self.metric.clone()];
        let others = ALWAYS
            .into_iter()
            .chain(WHERE_MEASURED.into_iter().filter(|metric| has(metric)))
            .map(str::to_owned)
            .chain([self.workload.metric.clone()])
            .chain(own.cloned())
            .chain(LAST.map(str::to_owned));
        for metric in others {
            if !columns.contains(&metric) {
                columns.push(metric);
            }
        }
        columns
    }
}

/// One arm of a section.
#[derive(Clone, Debug)]
pub struct Row {
    /// Runtime, role, and what tells it from other arms of the same runtime: what the row is called.
    pub label: String,
    /// The runtime's name.
    pub runtime: String,
    /// What was asked for: `policy`, `workers`, and knobs by their names.
    pub choices: BTreeMap<String, String>,
    /// True for what the others are compared with.
    pub baseline: bool,
    /// `a/a` or a plain arm.
    pub role: Role,
    /// Runs that ended well.
    pub ok: usize,
    /// Parts that are left out.
    pub without: BTreeSet<String>,
    /// Medians over those runs, by metric; what no run measured is not in it.
    pub medians: BTreeMap<String, f64>,
    /// Intervals of these medians.
    pub intervals: BTreeMap<String, MedianInterval>,
    /// Each run's value of the section's metric, with its round.
    pub points: Vec<(u32, f64)>,
    /// Latency of the median run by p99, if there is any.
    pub latency: Option<LatencyNs>,
    /// The comparison in the section's metric; `None` for the baseline.
    pub comparison: Option<Comparison>,
    /// How the runs ended if none ended well.
    pub failed: Option<Status>,
    /// What went wrong, in plain words, each kind once.
    pub failures: Vec<String>,
    /// What the median hides: rounds far off, two modes, drift.
    pub remark: Option<String>,
}

/// Metrics that every row has a median of, where measured.
const METRICS: [&str; 13] = [
    "wall_ns_per_op",
    "cpu_ns_per_op",
    "switches_per_op",
    "page_faults_per_op",
    "peak_rss_bytes",
    "latency_p50_ns",
    "latency_p99_ns",
    "latency_p999_ns",
    "client_late_p50_ns",
    "client_late_p99_ns",
    "steals_done_per_op",
    "tasks_stolen_per_op",
    "unparks_per_op",
];

/// Arranges `results`, in the order in which workloads are described there.
pub fn sections(results: &Results) -> Vec<Section> {
    let mut cells: Vec<(&str, &BTreeMap<String, u64>)> = Vec::new();
    for run in &results.runs {
        let cell = (run.workload.as_str(), &run.params);
        if !cells.contains(&cell) {
            cells.push(cell);
        }
    }
    // Runs stand in the random order in which they were made.
    let position = |name: &str| {
        results
            .workloads
            .iter()
            .position(|workload| workload.name == name)
    };
    cells.sort_by(|a, b| {
        let order = |name| position(name).unwrap_or(usize::MAX);
        (order(a.0), a.0, a.1).cmp(&(order(b.0), b.0, b.1))
    });
    cells
        .into_iter()
        .flat_map(|(workload, params)| of_cell(results, workload, params))
        .collect()
}

/// A cell's sections: the one about all runtimes, then one for each runtime of which several arms were measured.
fn of_cell(results: &Results, name: &str, params: &BTreeMap<String, u64>) -> Vec<Section> {
    let runs: Vec<&Run> = results
        .runs
        .iter()
        .filter(|run| run.workload == name && run.params == *params)
        .collect();
    let compared: Vec<&Comparison> = results
        .comparisons
        .iter()
        .filter(|one| one.workload == name && one.params == *params)
        .collect();
    // The baseline of all stands first. An A/A arm may be that of another arm than the best one.
    let mut baselines: Vec<ArmKey> = Vec::new();
    let is_arm = |one: &&&Comparison| one.role == Role::Arm;
    let arms = compared.iter().filter(is_arm);
    for comparison in arms.chain(compared.iter().filter(|one| !is_arm(one))) {
        let baseline = ArmKey::of_baseline(comparison);
        let known = baselines.contains(&baseline);
        if !known && (comparison.role == Role::Arm || baselines.is_empty()) {
            baselines.push(baseline);
        }
    }
    let cell = Cell {
        results,
        name,
        params,
        runs,
        compared,
    };
    let mut sections = vec![section(&cell, baselines.first(), None)];
    for baseline in baselines.iter().skip(1) {
        sections.push(section(&cell, Some(baseline), Some(&baseline.runtime)));
    }
    sections
}

/// What was measured of one workload with one set of parameters.
struct Cell<'a> {
    results: &'a Results,
    name: &'a str,
    params: &'a BTreeMap<String, u64>,
    runs: Vec<&'a Run>,
    compared: Vec<&'a Comparison>,
}

fn section(cell: &Cell, baseline: Option<&ArmKey>, choices_of: Option<&str>) -> Section {
    let Cell { results, name, .. } = *cell;
    let workload = results
        .workloads
        .iter()
        .find(|workload| workload.name == name)
        .cloned()
        // Results of another tool need not describe their workloads.
        .unwrap_or_else(|| WorkloadInfo {
            name: name.to_owned(),
            group: "Workloads".to_owned(),
            about: String::new(),
            op: String::new(),
            metric: "wall_ns_per_op".to_owned(),
        });
    let metric = comparisons::headline(&workload.metric, &cell.runs).to_owned();
    let is_baseline = |key: &ArmKey| Some(key) == baseline;
    let compared: Vec<&Comparison> = cell
        .compared
        .iter()
        .copied()
        .filter(|one| {
            let of_this = is_baseline(&ArmKey::of_baseline(one));
            one.metric == metric && (of_this || one.role == Role::Repeat)
        })
        .collect();
    let mut flags: Vec<String> = cell
        .runs
        .iter()
        .flat_map(|run| run.flags.iter().cloned())
        .collect();
    flags.sort();
    flags.dedup();
    let mut all: Vec<ArmKey> = cell.runs.iter().map(|run| ArmKey::of(run)).collect();
    all.sort();
    all.dedup();
    let mut keys: Vec<&ArmKey> = all
        .iter()
        .filter(|key| choices_of.is_none_or(|runtime| key.runtime == runtime))
        .collect();
    // Repetitions of other baselines are shown with those, unless there is none of this one.
    let own_repeat = |key: &&ArmKey| baseline.is_none_or(|one| repeats(key, one));
    if keys
        .iter()
        .any(|key| key.role == Role::Repeat && own_repeat(key))
    {
        keys.retain(|key| key.role == Role::Arm || own_repeat(key));
    }
    keys.sort_by_key(|key| (key.role == Role::Repeat, !is_baseline(key)));
    let rows = keys
        .into_iter()
        .map(|key| {
            let runs: Vec<&Run> = cell
                .runs
                .iter()
                .copied()
                .filter(|run| ArmKey::of(run) == *key)
                .collect();
            let comparison = compared
                .iter()
                .find(|one| ArmKey::of_comparison(one) == *key);
            let label = label(key, &all, &results.default_policies);
            let comparison = comparison.copied().cloned();
            let mut row = row(key, label, &runs, &metric, is_baseline(key), comparison);
            let remarks = results.remarks.iter().filter(|one| {
                one.workload == name
                    && one.params == *cell.params
                    && ArmKey::new(&one.runtime, &one.config, one.role) == *key
            });
            row.remark = remarks.map(|one| one.remark.clone()).next();
            row
        })
        .collect();
    let absent = results
        .absent
        .iter()
        .filter(|absent| absent.workload == name);
    Section {
        choices_of: choices_of.map(str::to_owned),
        params: cell.params.clone(),
        mode: cell
            .runs
            .first()
            .map(|run| run.mode.clone())
            .unwrap_or_default(),
        flags,
        noise_floor: compared
            .iter()
            .filter(|one| one.role == Role::Arm)
            .chain(&compared)
            .find_map(|one| one.noise_floor),
        rows,
        absent: absent
            .filter(|_| choices_of.is_none())
            .map(|absent| (absent.runtime.clone(), absent.reason.clone()))
            .collect(),
        workload,
        metric,
    }
}

fn repeats(key: &ArmKey, baseline: &ArmKey) -> bool {
    let as_arm = ArmKey {
        role: Role::Arm,
        ..key.clone()
    };
    as_arm == *baseline
}

/// `mn`, and what tells it from the other arms of its runtime: `mn (no-steal, steal=one, 2 workers)`.
fn label(key: &ArmKey, all: &[ArmKey], default_policies: &BTreeMap<String, String>) -> String {
    let differ = |choice: fn(&ArmKey, &ArmKey) -> bool| {
        all.iter()
            .any(|other| other.runtime == key.runtime && choice(other, key))
    };
    let mut choices: Vec<String> = Vec::new();
    choices.extend(key.binary.clone());
    if let Some(policy) = &key.policy {
        let default = default_policies.get(&key.runtime) == Some(policy);
        if !default || differ(|other, key| other.policy != key.policy) {
            choices.push(policy.clone());
        }
    }
    choices.extend(
        key.knobs
            .iter()
            .map(|(name, value)| format!("{name}={value}")),
    );
    if let Some(workers) = key.workers
        && differ(|other, key| other.workers != key.workers)
    {
        let plural = if workers == 1 { "" } else { "s" };
        choices.push(format!("{workers} worker{plural}"));
    }
    let mut label = format!("{}{}", key.runtime, parts::suffix(&key.without));
    if !choices.is_empty() {
        label = format!("{label} ({})", choices.join(", "));
    }
    if key.role == Role::Repeat {
        label = format!("{label}, again (A/A)");
    }
    label
}

fn row(
    key: &ArmKey,
    label: String,
    runs: &[&Run],
    metric: &str,
    baseline: bool,
    comparison: Option<Comparison>,
) -> Row {
    let extra = runs
        .iter()
        .flat_map(|run| run.extra.keys().map(String::as_str));
    let mut medians = BTreeMap::new();
    let mut intervals = BTreeMap::new();
    for name in METRICS.into_iter().chain(extra) {
        let values: Vec<f64> = runs.iter().filter_map(|run| run.value(name)).collect();
        if let Some(value) = median(&values) {
            medians.insert(name.to_owned(), value);
            intervals
                .extend(MedianInterval::of(&values).map(|interval| (name.to_owned(), interval)));
        }
    }
    let mut points: Vec<(u32, f64)> = runs
        .iter()
        .filter_map(|run| Some((run.round, run.value(metric)?)))
        .collect();
    points.sort_by_key(|point| point.0);
    let mut latencies: Vec<LatencyNs> = runs
        .iter()
        .filter(|run| run.status == Status::Ok)
        .filter_map(|run| run.latency_ns)
        .collect();
    latencies.sort_by_key(|latency| latency.p99);
    let mut choices = key.knobs.clone();
    choices.extend(
        key.policy
            .clone()
            .map(|policy| ("policy".to_owned(), policy)),
    );
    choices.extend(
        key.workers
            .map(|workers| ("workers".to_owned(), workers.to_string())),
    );
    Row {
        label,
        runtime: key.runtime.clone(),
        choices,
        baseline,
        role: key.role,
        ok: runs.iter().filter(|run| run.status == Status::Ok).count(),
        failed: runs
            .first()
            .map(|run| run.status)
            .filter(|_| runs.iter().all(|run| run.status != Status::Ok)),
        without: key.without.clone(),
        medians,
        intervals,
        points,
        latency: latencies.get(latencies.len() / 2).copied(),
        comparison,
        failures: failures(runs),
        remark: None,
    }
}

/// `crashed in 2 of 7 processes: killed by signal 9 (SIGKILL)`.
fn failures(runs: &[&Run]) -> Vec<String> {
    let mut kinds: Vec<(Status, &str, usize)> = Vec::new();
    for run in runs.iter().filter(|run| run.status != Status::Ok) {
        let error = run.error.as_deref().unwrap_or("no message");
        match kinds.iter_mut().find(|kind| kind.0 == run.status) {
            Some(kind) => kind.2 += 1,
            None => kinds.push((run.status, error, 1)),
        }
    }
    kinds
        .into_iter()
        .map(|(status, error, count)| match (status, runs.len()) {
            (Status::NotInstalled, _) | (_, 1) => format!("{}: {error}", status.describe()),
            (_, all) => format!(
                "{} in {count} of {all} processes: {error}",
                status.describe()
            ),
        })
        .collect()
}

/// `connections=64, bytes=64`, or nothing.
pub fn parameters(params: &BTreeMap<String, u64>) -> String {
    params
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// What stands in the verdict's column of a row.
pub fn verdict(row: &Row) -> String {
    if let Some(status) = row.failed {
        return status.describe().to_owned();
    }
    match &row.comparison {
        None if row.baseline => "baseline".to_owned(),
        None => "-".to_owned(),
        Some(comparison) => match (comparison.verdict, comparison.withheld.as_deref()) {
            _ if comparison.ratio.is_none() => "no figure".to_owned(),
            (Some(verdict), _) => verdict_in_words(comparison, verdict),
            (None, Some("a/a")) => "noise".to_owned(),
            (None, Some(flag)) => format!("none ({flag})"),
            (None, None) => "-".to_owned(),
        },
    }
}

/// A verdict with what it is worth: `no difference beyond 2%`, `not enough data; about 12 more rounds`.
fn verdict_in_words(comparison: &Comparison, verdict: Verdict) -> String {
    match (verdict, comparison.margin, comparison.more_rounds) {
        (Verdict::NoDifference, Some(margin), _) => {
            format!("{verdict} beyond {}", units::percent(margin))
        }
        (Verdict::NotEnoughData, _, Some(rounds)) => format!(
            "{verdict}; about {rounds} more round{}",
            if rounds == 1 { "" } else { "s" }
        ),
        (Verdict::NotEnoughData, Some(_), None) => {
            format!("{verdict}; over {MOST_ROUNDS} more rounds")
        }
        _ => verdict.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparisons::tests::run;
    use crate::results::SCHEMA;

    fn results() -> Results {
        let mut runs = Vec::new();
        for round in 0..3 {
            runs.push(run("mn", Role::Arm, round, 500 + u64::from(round) * 10));
            runs.push(run("tokio-mt", Role::Repeat, round, 1001));
            runs.push(run("tokio-mt", Role::Arm, round, 1000));
        }
        runs[0].status = Status::Crashed;
        runs[0].error = Some("killed by signal 9 (SIGKILL)".into());
        let comparisons = comparisons::tests::with("tokio-mt", &runs, false);
        Results {
            schema: SCHEMA.into(),
            runs,
            comparisons,
            ..Results::default()
        }
    }

    #[test]
    fn a_label_says_what_tells_the_arms_of_a_runtime_apart() {
        let key = |policy: &str, workers: u64| ArmKey {
            runtime: "mn".into(),
            binary: None,
            policy: Some(policy.into()),
            knobs: BTreeMap::new(),
            without: BTreeSet::new(),
            workers: Some(workers),
            role: Role::Arm,
        };
        let defaults = BTreeMap::from([("mn".to_owned(), "go-like".to_owned())]);
        let label = |key: &ArmKey, others: &[ArmKey]| super::label(key, others, &defaults);
        let go = key("go-like", 2);
        assert_eq!(label(&go, std::slice::from_ref(&go)), "mn");
        let steal = key("random-steal", 2);
        assert_eq!(
            label(&steal, std::slice::from_ref(&steal)),
            "mn (random-steal)"
        );
        assert_eq!(label(&go, &[go.clone(), steal]), "mn (go-like)");
        let mut wide = key("go-like", 8);
        wide.knobs.insert("steal".into(), "one".into());
        assert_eq!(
            label(&wide, &[go.clone(), wide.clone()]),
            "mn (steal=one, 8 workers)"
        );
        let one = key("go-like", 1);
        assert_eq!(label(&one, &[go, one.clone()]), "mn (1 worker)");
    }

    #[test]
    fn the_baseline_is_first_and_its_repetition_last() {
        let sections = sections(&results());
        let labels: Vec<&str> = sections[0]
            .rows
            .iter()
            .map(|row| row.label.as_str())
            .collect();
        assert_eq!(labels, ["tokio-mt", "mn", "tokio-mt, again (A/A)"]);
        let verdicts: Vec<String> = sections[0].rows.iter().map(verdict).collect();
        assert_eq!(
            verdicts,
            ["baseline", "not enough data; about 5 more rounds", "noise"]
        );
    }

    #[test]
    fn what_is_judged_is_shown_first_and_the_client_s_lateness_is_shown() {
        let mut results = results();
        for run in &mut results.runs {
            run.latency_ns = Some(LatencyNs {
                p50: 10,
                p99: 990,
                ..LatencyNs::default()
            });
            run.client_late_ns = Some(crate::results::LateNs { p50: 1, p99: 7 });
            run.extra.insert("hog_cores".into(), 1.5);
            run.extra.insert("polls".into(), 100.0);
        }
        results.workloads = vec![WorkloadInfo {
            name: "echo".into(),
            group: "IO-bound".into(),
            about: String::new(),
            op: String::new(),
            metric: "latency_p99_ns".into(),
        }];
        let section = &sections(&results)[0];
        assert_eq!(
            section.columns(),
            [
                "latency_p99_ns",
                "wall_ns_per_op",
                "cpu_ns_per_op",
                "latency_p50_ns",
                "latency_p999_ns",
                "client_late_p99_ns",
                "hog_cores",
                "switches_per_op",
                "page_faults_per_op",
                "peak_rss_bytes",
            ]
        );
        let row = &section.rows[0];
        assert_eq!(row.medians["latency_p99_ns"], 990.0);
        assert_eq!(row.medians["client_late_p99_ns"], 7.0);
        assert_eq!(row.points.len(), 3);
    }

    #[test]
    fn failures_are_told_in_plain_words_and_are_in_no_median() {
        let sections = sections(&results());
        let mn = &sections[0].rows[1];
        assert_eq!((mn.ok, mn.points.len()), (2, 2));
        assert_eq!(
            mn.failures,
            ["crashed in 1 of 3 processes: killed by signal 9 (SIGKILL)"]
        );
        assert_eq!(mn.medians["wall_ns_per_op"], 51.5);
    }
}
