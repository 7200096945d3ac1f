//! One arm of a section: its medians, its points, its failures, and its label.

use std::collections::{BTreeMap, BTreeSet};

use crate::comparisons::ArmKey;
use crate::median_interval::MedianInterval;
use crate::parts;
use crate::results::{Comparison, LatencyNs, Role, Run, Status, TracedRun};
use crate::statistics::median;

/// One arm of a section.
#[derive(Clone, Debug)]
pub struct Row {
    /// The label: runtime, role, and what distinguishes the arm from others of the same runtime.
    pub label: String,
    /// The runtime's name.
    pub runtime: String,
    /// The requested choices: `policy`, `workers`, and knobs by their names.
    pub choices: BTreeMap<String, String>,
    /// Whether it is the baseline.
    pub baseline: bool,
    /// Whether it is an A/A arm.
    pub role: Role,
    /// The number of successful runs.
    pub ok: usize,
    /// The parts that are left out.
    pub without: BTreeSet<String>,
    /// Medians over those runs by metric, for the metrics that any run measured.
    pub medians: BTreeMap<String, f64>,
    /// Intervals of these medians.
    pub intervals: BTreeMap<String, MedianInterval>,
    /// Each run's value of the section's metric, with its round.
    pub points: Vec<(u32, f64)>,
    /// The latency of the run with the median p99, if there is any.
    pub latency: Option<LatencyNs>,
    /// The result of its traced run, if there was one.
    pub traced: Option<TracedRun>,
    /// The comparison in the section's metric; `None` for the baseline.
    pub comparison: Option<Comparison>,
    /// The status of the runs if none succeeded.
    pub failed: Option<Status>,
    /// The failures in plain words, each kind once.
    pub failures: Vec<String>,
    /// What the median hides: outliers, two modes, drift.
    pub remark: Option<String>,
}

/// Metrics for which every row has a median, if measured.
pub(super) const METRICS: [&str; 15] = [
    "wall_ns_per_op",
    "cpu_ns_per_op",
    "cpu_user_ns_per_op",
    "cpu_system_ns_per_op",
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

/// `mn`, or with what distinguishes it from other arms of its runtime: `mn (no-steal, steal=one, 2 workers)`.
pub(super) fn label(
    key: &ArmKey,
    all: &[ArmKey],
    default_policies: &BTreeMap<String, String>,
) -> String {
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

pub(super) fn row(
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
        traced: None,
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
