//! The table "who survives what", for a terminal and as Markdown.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};

use super::results::{Row, ZooResults};
use super::verdict::Verdict;
use crate::terminal::wrapped;

/// For a terminal of this width: a table of marks, then one line per failure and per pathology that could not run.
pub(crate) fn text(results: &ZooResults, width: Option<usize>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    let names = results.runtimes.iter().map(|runtime| runtime.name.clone());
    table.set_header(std::iter::once("pathology".to_owned()).chain(names));
    for row in &results.pathologies {
        let marks = results
            .runtimes
            .iter()
            .map(|runtime| mark(row, &runtime.name).to_owned());
        table.add_row(std::iter::once(row.name.clone()).chain(marks));
    }
    let survived = results.runtimes.iter().map(|runtime| {
        let (survived, ran) = results.survived(&runtime.name);
        format!("{survived}/{ran}")
    });
    table.add_row(std::iter::once("survived".to_owned()).chain(survived));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = format!("{table}\n\n");
    let mut missing: Vec<(String, String)> = Vec::new();
    for row in &results.pathologies {
        for runtime in &results.runtimes {
            match row.cells.get(&runtime.name) {
                Some(verdict @ Verdict::Fails { .. }) => {
                    let (name, bound) = (&row.name, &row.bound);
                    let said = verdict.words(&row.unit);
                    let line = format!(
                        "{name} under {}: {said}; the bound is {bound}",
                        runtime.name
                    );
                    let _ = writeln!(text, "{}", wrapped(&line, width, 2));
                }
                Some(Verdict::CannotRun { why }) => {
                    let reason = (runtime.name.clone(), why.clone());
                    if !missing.contains(&reason) {
                        missing.push(reason);
                    }
                }
                _ => {}
            }
        }
    }
    for (runtime, why) in missing {
        let line = format!("- under {runtime}: {why}");
        let _ = writeln!(text, "{}", wrapped(&line, width, 2));
    }
    text
}

/// As Markdown: a table of marks, then each figure.
pub(crate) fn markdown(results: &ZooResults) -> String {
    let mut text = String::from("| pathology |");
    for runtime in &results.runtimes {
        let _ = write!(text, " {} |", runtime.name);
    }
    let columns = "--:|".repeat(results.runtimes.len());
    let _ = writeln!(text, "\n|---|{columns}");
    for row in &results.pathologies {
        let _ = write!(text, "| {} |", row.name);
        for runtime in &results.runtimes {
            let _ = write!(text, " {} |", mark(row, &runtime.name));
        }
        text.push('\n');
    }
    text.push_str("| survived |");
    for runtime in &results.runtimes {
        let (survived, ran) = results.survived(&runtime.name);
        let _ = write!(text, " {survived}/{ran} |");
    }
    text.push_str("\n\n");
    for row in &results.pathologies {
        let _ = writeln!(text, "## {}\n\n{}\n", row.name, row.about);
        let _ = writeln!(text, "From <{}>.", row.issue);
        let _ = writeln!(text, "Measured: {}.", row.measured);
        let _ = writeln!(text, "Bound: {}.\n", row.bound);
        for runtime in &results.runtimes {
            let Some(verdict) = row.cells.get(&runtime.name) else {
                continue;
            };
            let said = verdict.words(&row.unit).replace('|', "\\|");
            let _ = writeln!(text, "- {}: {}, {said}", runtime.name, verdict.mark());
        }
        text.push('\n');
    }
    text
}

fn mark<'a>(row: &'a Row, runtime: &str) -> &'a str {
    row.cells.get(runtime).map_or("", Verdict::mark)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zoo::results::{Column, SCHEMA};

    fn results() -> ZooResults {
        let column = |name: &str| Column {
            name: name.to_owned(),
            version: None,
            ours: false,
        };
        let row = |name: &str, cells: Vec<(&str, Verdict)>| Row {
            name: name.to_owned(),
            measured: "what is measured".to_owned(),
            about: "What goes wrong.".to_owned(),
            bound: "at least 10 echoes".to_owned(),
            unit: "echoes".to_owned(),
            size: 10,
            issue: "https://github.com/a/b/issues/1".to_owned(),
            cells: cells
                .into_iter()
                .map(|(name, cell)| (name.to_owned(), cell))
                .collect(),
        };
        let fails = Verdict::Fails {
            value: Some(0.0),
            why: None,
        };
        let cannot = Verdict::CannotRun {
            why: "not there".to_owned(),
        };
        ZooResults {
            schema: SCHEMA.to_owned(),
            timelines: Vec::new(),
            workers: 2,
            quick: true,
            runtimes: vec![column("one"), column("two"), column("three")],
            pathologies: vec![
                row(
                    "endless",
                    vec![
                        ("one", Verdict::Survives { value: 10.0 }),
                        ("two", fails.clone()),
                        ("three", cannot),
                    ],
                ),
                row(
                    "hang",
                    vec![
                        ("one", Verdict::failed("no end | within 2 s")),
                        ("two", fails),
                    ],
                ),
            ],
        }
    }

    #[test]
    fn marks_figures_and_reasons_are_in_both_forms() {
        let text = text(&results(), Some(80));
        for part in [
            "pathology",
            "FAILS",
            "endless under two: 0 echoes; the bound is at least 10 echoes",
            "hang under one: no end | within 2 s",
            "- under three: not there",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let markdown = markdown(&results());
        for part in [
            "| endless | ok | FAILS | - |",
            "## endless\n\nWhat goes wrong.\n\nFrom <https://github.com/a/b/issues/1>.",
            "| hang | FAILS | FAILS |  |",
            "| survived | 1/2 | 0/2 | 0/0 |",
            "- one: FAILS, no end \\| within 2 s",
            "- two: FAILS, 0 echoes",
        ] {
            assert!(markdown.contains(part), "{part}: {markdown}");
        }
    }

    #[test]
    fn results_are_read_back_as_they_were_written() {
        let stored = serde_json::to_string(&results()).unwrap();
        assert_eq!(
            serde_json::from_str::<ZooResults>(&stored).unwrap(),
            results()
        );
    }
}
