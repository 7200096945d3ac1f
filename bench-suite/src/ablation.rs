//! The matrix of scheduler parts: what each part costs and gains, with intervals.

use std::collections::BTreeSet;

use crate::results::{Comparison, Dimension};
use crate::summary::Row;
use crate::{parts, units};

/// The figures of each row: title and metric.
const FIGURES: [(&str, &str); 6] = [
    ("time/op", "wall_ns_per_op"),
    ("CPU/op", "cpu_ns_per_op"),
    ("switches/op", "switches_per_op"),
    ("steals/op", "steals_done_per_op"),
    ("wake-ups/op", "unparks_per_op"),
    ("p99", "latency_p99_ns"),
];

/// The metrics that get a ratio in every workload.
const COMPARED: [&str; 2] = ["wall_ns_per_op", "cpu_ns_per_op"];

/// Explains the columns to the reader.
pub(crate) const LEGEND: &str = "steals: times that a worker found something in another one's queue; \
     wake-ups: of sleeping workers; behind a median stands where the true one is with 95% \
     (with fewer than 6 processes: the whole range); the parts are those of the scheduler: all, none, all but one, only one";

/// Whether the sweep varies parts.
pub(crate) fn is_asked(dimensions: &[Dimension]) -> bool {
    dimensions.iter().any(|one| one.name == parts::DIMENSION)
}

/// The name of a row among the rows of its runtime.
pub(crate) fn row_name(row: &Row, rows: &[&Row]) -> String {
    let same = rows.iter().filter(|other| other.runtime == row.runtime);
    // One of the arms leaves everything out, so the union is all parts.
    let all: BTreeSet<String> = same
        .flat_map(|other| other.without.iter().cloned())
        .collect();
    parts::in_matrix(&row.without, &all)
}

/// A column's heading and its cells; `None` where there is no figure.
pub(crate) type Figures = (String, Vec<Option<String>>);

/// The columns of `rows`: the figures, then the ratios in metrics other than `judged`.
pub(crate) fn columns(rows: &[&Row], judged: &str, compared: &[Comparison]) -> Vec<Figures> {
    let figures = FIGURES.iter().map(|(title, metric)| {
        let cells = rows.iter().map(|row| figure(row, metric));
        ((*title).to_owned(), cells.collect())
    });
    let ratios = COMPARED.iter().filter(|metric| **metric != judged);
    let ratios = ratios.map(|metric| {
        let title = format!("ratio of {} [95% CI]", units::metric_title(metric));
        let cells = rows.iter().map(|row| ratio(row, metric, compared));
        (title, cells.collect())
    });
    figures.chain(ratios).collect()
}

fn figure(row: &Row, metric: &str) -> Option<String> {
    let median = units::metric(metric, *row.medians.get(metric)?);
    Some(match row.intervals.get(metric) {
        Some(interval) => {
            let [low, high] = [interval.low, interval.high].map(|one| units::metric(metric, one));
            format!("{median} [{low}, {high}]")
        }
        None => median,
    })
}

/// The ratio to the same baseline, in a metric other than the judged one.
fn ratio(row: &Row, metric: &str, compared: &[Comparison]) -> Option<String> {
    if row.baseline && row.ok > 0 {
        return Some("1".to_owned());
    }
    let judged = row.comparison.as_ref()?;
    let one = compared.iter().find(|one| {
        one.metric == metric
            && (&one.workload, &one.params, one.role)
                == (&judged.workload, &judged.params, judged.role)
            && (&one.runtime, &one.config) == (&judged.runtime, &judged.config)
            && (&one.baseline, &one.baseline_config) == (&judged.baseline, &judged.baseline_config)
    })?;
    one.ratio.map(|_| units::ratio(one.ratio, one.ci95))
}
