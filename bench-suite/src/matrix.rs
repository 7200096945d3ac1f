//! Arranges what `lab sweep` measured as one matrix per workload: a row per combination, with its rate and its costs.
//! The terminal and the report show the same cells.

use crate::ablation;
use crate::parts;
use crate::results::{Comparison, Results, Role, Sweep, Verdict};
use crate::summary::{self, Row, Section};
use crate::units;

/// One workload's combinations.
#[derive(Clone, Debug)]
pub(crate) struct Matrix {
    /// The workload and its parameters.
    pub(crate) title: String,
    /// What one operation is.
    pub(crate) op: String,
    pub(crate) columns: Vec<Column>,
    /// One cell per column.
    pub(crate) rows: Vec<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) title: String,
    /// True for figures, which are right-aligned; names are left-aligned.
    pub(crate) figure: bool,
}

/// Explains the columns to the reader.
const LEGEND: &str = "cores: CPU-seconds per second; steals: times that a worker found something in another one's queue; \
     stolen: tasks that it took there; wake-ups: of sleeping workers";

/// Explains the columns of `results` to the reader.
pub(crate) fn legend(results: &Results) -> String {
    match &results.sweep {
        Some(sweep) if ablation::is_asked(&sweep.dimensions) => ablation::LEGEND.to_owned(),
        _ => LEGEND.to_owned(),
    }
}

/// The matrices of `results`; none if nothing was swept.
pub(crate) fn matrices(results: &Results, sections: &[Section]) -> Vec<Matrix> {
    let Some(sweep) = &results.sweep else {
        return Vec::new();
    };
    sections
        .iter()
        // The other sections repeat rows with a ratio to their runtime's own baseline. One matrix holds all rows.
        .filter(|section| section.choices_of.is_none())
        .map(|section| matrix(sweep, section, &results.comparisons))
        .collect()
}

fn matrix(sweep: &Sweep, section: &Section, compared: &[Comparison]) -> Matrix {
    let mut rows: Vec<&Row> = section
        .rows
        .iter()
        .filter(|row| row.role == Role::Arm)
        .collect();
    let all = rows.clone();
    let choice = |row: &Row, dimension: &str| match dimension {
        parts::DIMENSION => ablation::row_name(row, &all),
        name => choice(row, name),
    };
    // Use the order in which the values were asked for. Sections put the baseline first and sort names alphabetically.
    rows.sort_by_cached_key(|row| -> Vec<usize> {
        sweep
            .dimensions
            .iter()
            .map(|dimension| {
                let value = choice(row, &dimension.name);
                let position = dimension.values.iter().position(|one| *one == value);
                position.unwrap_or(usize::MAX)
            })
            .collect()
    });
    let mut columns = Vec::new();
    let mut cells: Vec<Vec<String>> = vec![Vec::new(); rows.len()];
    let mut add = |title: &str, figure: bool, column: Vec<Option<String>>| {
        if column.iter().all(Option::is_none) {
            return;
        }
        columns.push(Column {
            title: title.to_owned(),
            figure,
        });
        for (cells, cell) in cells.iter_mut().zip(column) {
            cells.push(cell.unwrap_or_else(|| "-".to_owned()));
        }
    };
    for dimension in &sweep.dimensions {
        let values = rows.iter().map(|row| Some(choice(row, &dimension.name)));
        add(&dimension.name, false, values.collect());
    }
    // Add the metric of the ratio if the figures below don't include it.
    let judged = section.metric.as_str();
    if !["wall_ns_per_op", "cpu_ns_per_op", "latency_p999_ns"].contains(&judged) {
        let values = rows.iter().map(|row| median(row, judged));
        add(&units::metric_column(judged), true, values.collect());
    }
    if ablation::is_asked(&sweep.dimensions) {
        for (title, column) in ablation::columns(&rows, &section.metric, compared) {
            add(&title, true, column);
        }
    } else {
        for (title, figure) in FIGURES {
            add(title, true, rows.iter().map(|row| figure(row)).collect());
        }
    }
    let ratio = format!("ratio of {} [95% CI]", units::metric_title(&section.metric));
    add(&ratio, true, rows.iter().map(|row| ratio_of(row)).collect());
    let judged = |row: &&Row| {
        let verdict = row.comparison.as_ref().and_then(|one| one.verdict);
        verdict.is_some_and(|verdict| verdict != Verdict::NotEnoughData)
    };
    // Leave the column out if it would say "not enough data" in every row.
    if rows.iter().any(judged) || rows.iter().any(|row| row.failed.is_some()) {
        let verdicts = rows.iter().map(|row| Some(summary::verdict(row)));
        add("verdict", false, verdicts.collect());
    }
    let parameters = summary::parameters(&section.params);
    Matrix {
        title: if parameters.is_empty() {
            section.workload.name.clone()
        } else {
            format!("{} ({parameters})", section.workload.name)
        },
        op: section.workload.op.clone(),
        columns,
        rows: cells,
    }
}

fn choice(row: &Row, dimension: &str) -> String {
    match dimension {
        "runtime" => row.runtime.clone(),
        name => row
            .choices
            .get(name)
            .cloned()
            .unwrap_or_else(|| "-".to_owned()),
    }
}

type Figure = fn(&Row) -> Option<String>;

/// The figure columns. A column that is empty in every row is left out.
const FIGURES: [(&str, Figure); 9] = [
    ("ops/s", |row| {
        let wall = row.medians.get("wall_ns_per_op")?;
        (*wall > 0.0).then(|| units::rate(1e9 / wall))
    }),
    ("p99.9", |row| median(row, "latency_p999_ns")),
    ("client late p99", |row| median(row, "client_late_p99_ns")),
    ("CPU/op", |row| median(row, "cpu_ns_per_op")),
    ("cores", |row| {
        let wall = row.medians.get("wall_ns_per_op")?;
        let cpu = row.medians.get("cpu_ns_per_op")?;
        (*wall > 0.0).then(|| units::count(cpu / wall))
    }),
    ("switches/op", |row| median(row, "switches_per_op")),
    ("steals/op", |row| median(row, "steals_done_per_op")),
    ("stolen/op", |row| median(row, "tasks_stolen_per_op")),
    ("wake-ups/op", |row| median(row, "unparks_per_op")),
];

fn median(row: &Row, metric: &str) -> Option<String> {
    Some(units::metric(metric, *row.medians.get(metric)?))
}

fn ratio_of(row: &Row) -> Option<String> {
    if row.baseline && row.ok > 0 {
        return Some("1".to_owned());
    }
    let comparison = row.comparison.as_ref()?;
    comparison
        .ratio
        .map(|_| units::ratio(comparison.ratio, comparison.ci95))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparisons::tests::{among, run};
    use crate::comparisons::{Against, ArmKey, Baseline};
    use crate::results::{Dimension, Run, SCHEMA};

    fn combination(round: u32, policy: &str, steal: &str, wall_ns: u64) -> Run {
        let mut run = run("mn", Role::Arm, round, wall_ns);
        run.config.policy = Some(policy.into());
        run.config.knobs.insert("steal".into(), steal.into());
        run.extra.insert("steals_done".into(), 5.0);
        run
    }

    #[test]
    fn every_combination_is_a_row_with_its_costs_in_the_order_asked_for() {
        let mut runs = Vec::new();
        for round in 0..2 {
            for (policy, steal, wall_ns) in [
                ("tokio-like", "one", 4000),
                ("go-like", "half", 1000),
                ("tokio-like", "half", 3000),
                ("go-like", "one", 2000),
            ] {
                runs.push(combination(round, policy, steal, wall_ns));
            }
            let mut again = combination(round, "go-like", "half", 1000);
            again.role = Role::Repeat;
            runs.push(again);
        }
        let baseline = Baseline {
            key: ArmKey::of(&runs[1]),
            of: Against::All,
        };
        let comparisons = among(&[baseline], &[], &runs, false);
        let dimension = |name: &str, values: [&str; 2]| Dimension {
            name: name.into(),
            values: values.map(str::to_owned).to_vec(),
        };
        let results = Results {
            schema: SCHEMA.into(),
            runs,
            comparisons,
            sweep: Some(Sweep {
                dimensions: vec![
                    dimension("policy", ["go-like", "tokio-like"]),
                    dimension("steal", ["one", "half"]),
                ],
            }),
            ..Results::default()
        };
        let matrices = matrices(&results, &summary::sections(&results));
        assert_eq!(matrices.len(), 1);
        let matrix = &matrices[0];
        let titles: Vec<&str> = matrix
            .columns
            .iter()
            .map(|column| column.title.as_str())
            .collect();
        assert_eq!(
            titles,
            [
                "policy",
                "steal",
                "ops/s",
                "CPU/op",
                "cores",
                "switches/op",
                "steals/op",
                "ratio of time per op [95% CI]"
            ]
        );
        let first_cells: Vec<&[String]> = matrix.rows.iter().map(|row| &row[..3]).collect();
        assert_eq!(
            first_cells,
            [
                ["go-like", "one", "5.00 M"],
                ["go-like", "half", "10.0 M"],
                ["tokio-like", "one", "2.50 M"],
                ["tokio-like", "half", "3.33 M"],
            ]
        );
        assert_eq!(matrix.rows[1][6..], ["0.500", "1"]);
        assert!(
            matrix.rows[0][7].starts_with("2.00x ["),
            "{:?}",
            matrix.rows[0]
        );
    }
}
