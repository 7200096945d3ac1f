//! A table for a README.

use std::fmt::Write as _;

use super::Arm;
use crate::results::{Results, Role};
use crate::summary::{self, Section};
use crate::units;

/// Shown for each arm if known. The judged metric comes first.
const COLUMNS: [&str; 5] = [
    "wall_ns_per_op",
    "cpu_ns_per_op",
    "latency_p99_ns",
    "switches_per_op",
    "peak_rss_bytes",
];
/// Counted in separate runs.
const COUNTED: [&str; 3] = ["syscalls_per_op", "wakeups_per_op", "instructions_per_op"];

/// One table per workload, in Markdown with the table extension of GitHub and CommonMark.
pub(crate) fn markdown(results: &Results) -> String {
    let mut text = String::new();
    for section in summary::sections(results) {
        table(&mut text, results, &section);
    }
    if let Some(one) = results.environments.first() {
        let said = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
        let _ = writeln!(
            text,
            "Measured on {}, {} cores, Linux {}, {}, seed {}. Less is better; medians over processes, ratios to the \
             baseline with their 95% intervals.",
            cell(&said(&one.cpu)),
            one.cores,
            cell(&said(&one.kernel)),
            cell(&said(&one.rustc)),
            one.seed
        );
    }
    for note in &results.notes {
        let _ = writeln!(text, "\nNote: {}.", cell(note));
    }
    text
}

fn table(text: &mut String, results: &Results, section: &Section) {
    let has = |metric: &&str| {
        section
            .rows
            .iter()
            .any(|row| row.medians.contains_key(*metric))
    };
    let mut metrics = vec![section.metric.as_str()];
    for metric in COLUMNS.iter().filter(|metric| has(metric)) {
        if !metrics.contains(metric) {
            metrics.push(metric);
        }
    }
    let arms: Vec<Arm> = section
        .rows
        .iter()
        .filter(|row| row.role == Role::Arm)
        .map(|row| Arm {
            section: section.clone(),
            row: row.clone(),
        })
        .collect();
    let figures: Vec<Vec<(String, f64)>> = arms.iter().map(|arm| arm.figures(results)).collect();
    let counted = |metric: &&str| figures.iter().flatten().any(|(name, _)| name == metric);
    metrics.extend(COUNTED.iter().filter(|metric| counted(metric)));

    let params = summary::parameters(&section.params);
    let params = if params.is_empty() {
        params
    } else {
        format!(" ({params})")
    };
    let _ = writeln!(text, "### {}{}\n", cell(&section.name()), cell(&params));
    let titles = metrics.iter().map(|metric| units::metric_column(metric));
    let _ = writeln!(
        text,
        "| runtime | {} | ratio | verdict |",
        titles.collect::<Vec<_>>().join(" | ")
    );
    let _ = writeln!(text, "|---|{}---:|---|", "---:|".repeat(metrics.len()));
    for (arm, figures) in arms.iter().zip(&figures) {
        let values = metrics.iter().map(|metric| {
            let found = figures.iter().find(|(name, _)| name == metric);
            found.map_or_else(
                || "-".to_owned(),
                |(name, value)| units::metric(name, *value).trim().to_owned(),
            )
        });
        let ratio = match &arm.row.comparison {
            Some(one) => units::ratio(one.ratio, one.ci95),
            None => "1".to_owned(),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {ratio} | {} |",
            cell(&arm.row.label),
            values.collect::<Vec<_>>().join(" | "),
            cell(&summary::verdict(&arm.row))
        );
    }
    let _ = writeln!(text);
}

/// Escapes text so that it can't end a cell or a line.
fn cell(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect();
    line.replace('\\', "\\\\").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::results;

    /// Parses the cells of a row as a Markdown reader does.
    fn cells(line: &str) -> Vec<String> {
        let mut cells = vec![String::new()];
        let mut characters = line.chars();
        while let Some(character) = characters.next() {
            match character {
                '\\' => cells.last_mut().unwrap().extend(characters.next()),
                '|' => cells.push(String::new()),
                other => cells.last_mut().unwrap().push(other),
            }
        }
        assert!(
            cells.first().unwrap().is_empty() && cells.last().unwrap().is_empty(),
            "{line}"
        );
        cells[1..cells.len() - 1]
            .iter()
            .map(|cell| cell.trim().to_owned())
            .collect()
    }

    #[test]
    fn every_row_has_a_cell_for_each_column() {
        let text = markdown(&results());
        let rows: Vec<Vec<String>> = text
            .lines()
            .filter(|line| line.starts_with('|'))
            .map(cells)
            .collect();
        let columns = &rows[0];
        assert_eq!(columns[0], "runtime");
        assert!(
            columns.contains(&"syscalls per op".to_owned()),
            "{columns:?}"
        );
        assert!(
            rows.iter().all(|row| row.len() == columns.len()),
            "{rows:?}"
        );
        assert!(
            rows[1]
                .iter()
                .all(|cell| cell.trim_end_matches(':').chars().all(|one| one == '-'))
        );
        let names: Vec<&str> = rows[2..].iter().map(|row| row[0].as_str()).collect();
        assert_eq!(names, ["mn", "a|b"]);
        let verdicts: Vec<&str> = rows[2..]
            .iter()
            .map(|row| row.last().unwrap().as_str())
            .collect();
        assert_eq!(verdicts, ["baseline", "worse"]);
        assert!(text.contains("### echo"), "{text}");
    }
}
