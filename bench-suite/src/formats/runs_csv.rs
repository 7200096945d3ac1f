//! The runs as a tidy table: one row per measured process.

use crate::results::{Results, Role, Run, csv};

type Column = (&'static str, fn(&Run) -> String);

fn number(value: Option<u64>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn pairs<V: std::fmt::Display>(pairs: &std::collections::BTreeMap<String, V>) -> String {
    let pairs = pairs.iter().map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join(" ")
}

const COLUMNS: [Column; 33] = [
    ("environment", |run| run.environment.clone()),
    ("workload", |run| run.workload.clone()),
    ("params", |run| pairs(&run.params)),
    ("mode", |run| run.mode.clone()),
    ("runtime", |run| run.runtime.clone()),
    ("binary", |run| {
        run.config.binary.clone().unwrap_or_default()
    }),
    ("policy", |run| {
        run.config.policy.clone().unwrap_or_default()
    }),
    ("knobs", |run| pairs(&run.config.knobs)),
    ("without", |run| {
        run.config
            .without
            .iter()
            .cloned()
            .collect::<Vec<_>>()
            .join(" ")
    }),
    ("workers", |run| number(run.config.workers)),
    ("allocator", |run| {
        run.config.allocator.clone().unwrap_or_default()
    }),
    ("role", |run| {
        let role = match run.role {
            Role::Arm => "arm",
            Role::Repeat => "a/a",
        };
        role.to_owned()
    }),
    ("round", |run| run.round.to_string()),
    ("status", |run| run.status.describe().to_owned()),
    ("error", |run| run.error.clone().unwrap_or_default()),
    ("flags", |run| run.flags.join(" ")),
    ("ops", |run| number(run.ops)),
    ("wall_ns", |run| number(run.wall_ns)),
    ("cpu_ns", |run| number(run.cpu_ns)),
    ("cpu_user_ns", |run| number(run.cpu_user_ns)),
    ("cpu_system_ns", |run| number(run.cpu_system_ns)),
    ("client_cpu_ns", |run| number(run.client_cpu_ns)),
    ("client_late_p99_ns", |run| {
        number(run.client_late_ns.map(|late| late.p99))
    }),
    ("voluntary_switches", |run| number(run.voluntary_switches)),
    ("involuntary_switches", |run| {
        number(run.involuntary_switches)
    }),
    ("page_faults", |run| number(run.page_faults)),
    ("peak_rss_bytes", |run| number(run.peak_rss_bytes)),
    ("latency_p50_ns", |run| {
        number(run.latency_ns.map(|latency| latency.p50))
    }),
    ("latency_p90_ns", |run| {
        number(run.latency_ns.map(|latency| latency.p90))
    }),
    ("latency_p99_ns", |run| {
        number(run.latency_ns.map(|latency| latency.p99))
    }),
    ("latency_p999_ns", |run| {
        number(run.latency_ns.map(|latency| latency.p999))
    }),
    ("latency_max_ns", |run| {
        number(run.latency_ns.map(|latency| latency.max))
    }),
    ("extra", |run| pairs(&run.extra)),
];

/// The table with a header line. Unknown values are empty.
pub(crate) fn runs_csv(results: &Results) -> String {
    let header: Vec<String> = COLUMNS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut text = csv::line(&header);
    for run in &results.runs {
        let cells: Vec<String> = COLUMNS.iter().map(|(_, cell)| cell(run)).collect();
        text.push_str(&csv::line(&cells));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::results;

    #[test]
    fn each_run_is_a_row_and_unknown_is_empty() {
        let mut results = results();
        results.runs[0].error = Some("said \"no\", twice\nor so".into());
        let rows = csv::parse(&runs_csv(&results)).unwrap();
        assert_eq!(rows.len(), 1 + results.runs.len());
        assert!(rows.iter().all(|row| row.len() == COLUMNS.len()));
        let column = |name: &str| rows[0].iter().position(|other| other == name).unwrap();
        for (row, run) in rows[1..].iter().zip(&results.runs) {
            assert_eq!(row[column("wall_ns")], run.wall_ns.unwrap().to_string());
            assert_eq!(row[column("error")], run.error.clone().unwrap_or_default());
            assert_eq!(row[column("client_cpu_ns")], "");
            assert_eq!(row[column("params")], "text=7");
        }
    }
}
