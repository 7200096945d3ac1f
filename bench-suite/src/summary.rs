//! Stored results arranged for reading: one section per workload and parameters, one row per arm. The terminal and the
//! report both show these sections, so they can't disagree.

mod row;
mod words;

use std::collections::BTreeMap;

use crate::comparisons::{self, ArmKey};
use crate::results::{Comparison, Results, Role, Run, WorkloadInfo};
use crate::scheduler_counts::COUNTERS;
use row::{METRICS, label, row};

pub use row::Row;
pub use words::{parameters, verdict};

/// One workload with one set of parameters.
#[derive(Clone, Debug)]
pub struct Section {
    /// What the workload is.
    pub workload: WorkloadInfo,
    /// The runtime whose policies and knobs this section compares; `None` if it compares all runtimes.
    pub choices_of: Option<String>,
    /// Its parameters.
    pub params: BTreeMap<String, u64>,
    /// How load is applied.
    pub mode: String,
    /// The flags of any of its runs.
    pub flags: Vec<String>,
    /// What ratios and verdicts are about: the workload's metric, or CPU time where wall time must not be judged.
    pub metric: String,
    /// |ratio - 1| of the baseline against itself in that metric.
    pub noise_floor: Option<f64>,
    /// The arms, the baseline first and the A/A arm last.
    pub rows: Vec<Row>,
    /// Runtimes that do not have the workload, with the reason.
    pub absent: Vec<(String, String)>,
}

impl Section {
    /// The title: `echo`, or `echo: choices of mn`.
    pub fn name(&self) -> String {
        match &self.choices_of {
            Some(runtime) => format!("{}: choices of {runtime}", self.workload.name),
            None => self.workload.name.clone(),
        }
    }

    /// Facts that the figures don't show, each with the arm that it is about: failures, rounds that differ in kind, and
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
                let said = "differs from its twin; one in twenty does by chance, and more than that makes the \
                            figures doubtful";
                remarks.push((label, said.to_owned()));
            }
        }
        remarks
    }

    /// The metrics that a table of this section shows: the judged one first, then those of every table, then any
    /// others, including the workload's own.
    pub fn columns(&self) -> Vec<String> {
        const ALWAYS: [&str; 2] = ["wall_ns_per_op", "cpu_ns_per_op"];
        const WHERE_MEASURED: [&str; 4] = [
            "latency_p50_ns",
            "latency_p99_ns",
            "latency_p999_ns",
            "client_late_p99_ns",
        ];
        const LAST: [&str; 5] = [
            "cpu_user_ns_per_op",
            "cpu_system_ns_per_op",
            "switches_per_op",
            "page_faults_per_op",
            "peak_rss_bytes",
        ];
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

/// Arranges `results` in the order of its workload descriptions.
pub fn sections(results: &Results) -> Vec<Section> {
    let mut cells: Vec<(&str, &BTreeMap<String, u64>)> = Vec::new();
    for run in &results.runs {
        let cell = (run.workload.as_str(), &run.params);
        if !cells.contains(&cell) {
            cells.push(cell);
        }
    }
    // The runs are in random order, as they were made.
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

/// A cell's sections: one about all runtimes, then one for each runtime with several arms.
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
    // The baseline of all runtimes comes first. The A/A arm may repeat an arm that is not the best one.
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

/// The runs and comparisons of one workload with one set of parameters.
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
        // Results from another tool need not describe their workloads.
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
    // Hide the A/A repeats of other baselines, unless this baseline has none.
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
            let mut traced = results.traced.iter();
            let traced = traced.find(|one| {
                one.workload == name
                    && one.params == *cell.params
                    && ArmKey::new(&one.runtime, &one.config, Role::Arm) == *key
            });
            row.traced = traced.cloned();
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::comparisons::tests::run;
    use crate::results::{LatencyNs, SCHEMA, Status};

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
    fn a_label_distinguishes_the_arms_of_a_runtime() {
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
    fn judged_metrics_are_shown_first_with_the_clients_lateness() {
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
                "cpu_user_ns_per_op",
                "cpu_system_ns_per_op",
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
    fn failures_are_described_and_excluded_from_medians() {
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
