//! Stored results arranged for reading: one section per workload and parameters, one row per arm. The tables on the
//! terminal and the report both show this, so they can't disagree.

use std::collections::BTreeMap;

use crate::comparisons::{self, ArmKey};
use crate::results::{Comparison, LatencyNs, Results, Role, Run, Status, WorkloadInfo};
use crate::statistics::median;

/// One workload with one set of parameters.
#[derive(Clone, Debug)]
pub struct Section {
    /// What the workload is.
    pub workload: WorkloadInfo,
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

/// One arm of a section.
#[derive(Clone, Debug)]
pub struct Row {
    /// Runtime, policy if one was asked for, and role: what the row is called.
    pub label: String,
    /// The runtime's name.
    pub runtime: String,
    /// True for what the others are compared with.
    pub baseline: bool,
    /// `a/a` or a plain arm.
    pub role: Role,
    /// Runs that ended well.
    pub ok: usize,
    /// Medians over those runs, by metric; what no run measured is not in it.
    pub medians: BTreeMap<String, f64>,
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
}

/// Metrics that every row has a median of, where measured.
const METRICS: [&str; 5] = [
    "wall_ns_per_op",
    "cpu_ns_per_op",
    "switches_per_op",
    "page_faults_per_op",
    "peak_rss_bytes",
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
        .map(|(workload, params)| {
            let runs: Vec<&Run> = results
                .runs
                .iter()
                .filter(|run| run.workload == workload && run.params == *params)
                .collect();
            section(results, workload, params, &runs)
        })
        .collect()
}

fn section(
    results: &Results,
    name: &str,
    params: &BTreeMap<String, u64>,
    runs: &[&Run],
) -> Section {
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
    let metric = comparisons::headline(&workload.metric, runs).to_owned();
    let compared: Vec<&Comparison> = results
        .comparisons
        .iter()
        .filter(|one| one.workload == name && one.params == *params && one.metric == metric)
        .collect();
    let mut flags: Vec<String> = runs
        .iter()
        .flat_map(|run| run.flags.iter().cloned())
        .collect();
    flags.sort();
    flags.dedup();
    let mut keys: Vec<ArmKey> = runs.iter().map(|run| ArmKey::of(run)).collect();
    keys.sort();
    keys.dedup();
    let is_baseline = |key: &ArmKey| {
        key.role == Role::Arm
            && compared
                .iter()
                .any(|one| one.baseline == key.runtime && one.baseline_config.policy == key.policy)
    };
    keys.sort_by_key(|key| (key.role == Role::Repeat, !is_baseline(key)));
    let rows = keys
        .iter()
        .map(|key| {
            let runs: Vec<&Run> = runs
                .iter()
                .copied()
                .filter(|run| ArmKey::of(run) == *key)
                .collect();
            let comparison = compared
                .iter()
                .find(|one| ArmKey::of_comparison(one) == *key);
            row(
                key,
                &runs,
                &metric,
                is_baseline(key),
                comparison.copied().cloned(),
            )
        })
        .collect();
    Section {
        params: params.clone(),
        mode: runs.first().map(|run| run.mode.clone()).unwrap_or_default(),
        flags,
        noise_floor: compared.iter().find_map(|one| one.noise_floor),
        rows,
        absent: results
            .absent
            .iter()
            .filter(|absent| absent.workload == name)
            .map(|absent| (absent.runtime.clone(), absent.reason.clone()))
            .collect(),
        workload,
        metric,
    }
}

fn row(
    key: &ArmKey,
    runs: &[&Run],
    metric: &str,
    baseline: bool,
    comparison: Option<Comparison>,
) -> Row {
    let extra = runs
        .iter()
        .flat_map(|run| run.extra.keys().map(String::as_str));
    let mut medians = BTreeMap::new();
    for name in METRICS.into_iter().chain(extra) {
        let values: Vec<f64> = runs.iter().filter_map(|run| run.value(name)).collect();
        if let Some(value) = median(&values) {
            medians.insert(name.to_owned(), value);
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
    let mut label = key.runtime.clone();
    if let Some(policy) = &key.policy {
        label = format!("{label} ({policy})");
    }
    if key.role == Role::Repeat {
        label = format!("{label}, again (A/A)");
    }
    Row {
        label,
        runtime: key.runtime.clone(),
        baseline,
        role: key.role,
        ok: runs.iter().filter(|run| run.status == Status::Ok).count(),
        failed: runs
            .first()
            .map(|run| run.status)
            .filter(|_| runs.iter().all(|run| run.status != Status::Ok)),
        medians,
        points,
        latency: latencies.get(latencies.len() / 2).copied(),
        comparison,
        failures: failures(runs),
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
            (Some(verdict), _) => verdict.to_string(),
            (None, Some("a/a")) => "noise".to_owned(),
            (None, Some(flag)) => format!("none ({flag})"),
            (None, None) => "-".to_owned(),
        },
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
        let comparisons =
            comparisons::of_cell(&runs.iter().collect::<Vec<_>>(), "wall_ns_per_op", false);
        Results {
            schema: SCHEMA.into(),
            environments: Vec::new(),
            runs,
            comparisons,
            method: None,
            notes: Vec::new(),
            workloads: Vec::new(),
            absent: Vec::new(),
        }
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
        assert_eq!(verdicts, ["baseline", "not enough data", "noise"]);
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
