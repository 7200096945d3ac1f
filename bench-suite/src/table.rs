//! Results on the terminal: a table for each group of workloads, then the verdicts in words.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table, TableComponent};

use crate::matrix::{self, Matrix};
use crate::results::{Results, Role, Verdict};
use crate::statistics::MIN_PROCESSES;
use crate::summary::{self, Row, Section};
use crate::units;

/// Everything that is printed on standard output about `results`.
pub(crate) fn render(results: &Results) -> String {
    let sections = summary::sections(results);
    let mut text = String::new();
    if results.sweep.is_some() {
        swept(&mut text, &matrix::matrices(results, &sections));
        failures(&mut text, &sections);
    } else {
        compared(&mut text, &sections);
        verdicts(&mut text, &sections);
    }
    if let Some(method) = &results.method {
        let _ = writeln!(
            text,
            "Ratios: runtime / baseline, less is better; {}.",
            printable(method)
        );
    }
    for note in &results.notes {
        let _ = writeln!(text, "Note: {}.", printable(note));
    }
    text
}

/// A table for each group of workloads.
fn compared(text: &mut String, sections: &[Section]) {
    let mut groups: Vec<&str> = Vec::new();
    for section in sections {
        if !groups.contains(&section.workload.group.as_str()) {
            groups.push(&section.workload.group);
        }
    }
    for group in groups {
        let members: Vec<&Section> = sections
            .iter()
            .filter(|section| section.workload.group == group)
            .collect();
        let _ = writeln!(text, "\n{group}\n{}", table(&members));
    }
    text.push('\n');
}

/// A table for each workload.
fn swept(text: &mut String, matrices: &[Matrix]) {
    for matrix in matrices {
        let _ = write!(text, "\n{}", printable(&matrix.title));
        if !matrix.op.is_empty() {
            let _ = write!(text, "; one op: {}", printable(&matrix.op));
        }
        let mut table = empty_table();
        table.set_header(
            matrix
                .columns
                .iter()
                .map(|column| cell(&column.title, column.figure).add_attribute(Attribute::Bold)),
        );
        for row in &matrix.rows {
            let cells = row.iter().zip(&matrix.columns);
            table.add_row(cells.map(|(text, column)| cell(text, column.figure)));
        }
        let _ = writeln!(text, "\n{table}");
    }
    let _ = writeln!(text, "\nMedians over processes; {}.", matrix::LEGEND);
}

fn cell(text: &str, figure: bool) -> Cell {
    let alignment = if figure {
        CellAlignment::Right
    } else {
        CellAlignment::Left
    };
    Cell::new(printable(text)).set_alignment(alignment)
}

fn empty_table() -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY);
    // Lines around the arms of a workload would be noise: a blank row parts the workloads.
    for line in [
        TableComponent::HorizontalLines,
        TableComponent::LeftBorderIntersections,
        TableComponent::MiddleIntersections,
        TableComponent::RightBorderIntersections,
    ] {
        table.remove_style(line);
    }
    if std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table
}

fn table(sections: &[&Section]) -> Table {
    let mut table = empty_table();
    table.set_header(
        [
            "workload",
            "runtime",
            "time/op",
            "CPU/op",
            "switches/op",
            "faults/op",
            "peak RSS",
            "of",
            "ratio [95% CI]",
            "verdict",
        ]
        .map(|title| Cell::new(title).add_attribute(Attribute::Bold)),
    );
    for (index, section) in sections.iter().enumerate() {
        if index > 0 {
            table.add_row([""]);
        }
        let mut name = printable(&section.name()).replace(": ", "\n");
        let parameters = summary::parameters(&section.params);
        if !parameters.is_empty() {
            let _ = write!(name, "\n{}", printable(&parameters).replace(", ", "\n"));
        }
        if !section.flags.is_empty() {
            let _ = write!(name, "\n[{}]", printable(&section.flags.join(", ")));
        }
        let mut lines = name.lines();
        // One row per arm; what describes the workload goes down the first column beside them.
        for row in &section.rows {
            add(&mut table, lines.next().unwrap_or_default(), section, row);
        }
        for (runtime, reason) in &section.absent {
            table.add_row(vec![
                Cell::new(lines.next().unwrap_or_default()),
                Cell::new(printable(runtime)),
                Cell::new("n/a").set_alignment(CellAlignment::Right),
                Cell::new("-").set_alignment(CellAlignment::Right),
                Cell::new("-").set_alignment(CellAlignment::Right),
                Cell::new("-").set_alignment(CellAlignment::Right),
                Cell::new("-").set_alignment(CellAlignment::Right),
                Cell::new(""),
                Cell::new(""),
                Cell::new(printable(reason)),
            ]);
        }
        for rest in lines {
            table.add_row(vec![Cell::new(rest)]);
        }
    }
    table
}

fn add(table: &mut Table, name: &str, section: &Section, row: &Row) {
    let value = |metric: &str| {
        let text = row
            .medians
            .get(metric)
            .map_or_else(|| "-".to_owned(), |&value| units::metric(metric, value));
        Cell::new(text).set_alignment(CellAlignment::Right)
    };
    let ratio = match &row.comparison {
        Some(comparison) if row.ok > 0 => units::ratio(comparison.ratio, comparison.ci95),
        _ => String::new(),
    };
    table.add_row(vec![
        Cell::new(name),
        Cell::new(printable(&row.label)),
        value("wall_ns_per_op"),
        value("cpu_ns_per_op"),
        value("switches_per_op"),
        value("page_faults_per_op"),
        value("peak_rss_bytes"),
        Cell::new(short_metric(&section.metric)),
        Cell::new(ratio),
        Cell::new(printable(&summary::verdict(row))),
    ]);
}

fn short_metric(metric: &str) -> &str {
    match metric {
        "wall_ns_per_op" => "time",
        "cpu_ns_per_op" => "CPU",
        other => other,
    }
}

/// One line per workload: who is better or worse than whom, or that nothing can be said.
fn verdicts(text: &mut String, sections: &[Section]) {
    for section in sections {
        let judged: Vec<String> = section
            .rows
            .iter()
            .filter(|row| row.role == Role::Arm)
            .filter_map(|row| {
                let comparison = row.comparison.as_ref()?;
                let ratio = units::ratio(comparison.ratio, None);
                let words = match comparison.verdict? {
                    Verdict::NotEnoughData => return None,
                    verdict => verdict.to_string(),
                };
                Some(format!("{} {words} ({ratio})", printable(&row.label)))
            })
            .collect();
        let metric = units::metric_title(&section.metric);
        let floor = match section.noise_floor {
            Some(floor) => format!("noise floor {:.1}%", floor * 100.0),
            None => "noise floor unknown".to_owned(),
        };
        let compared = section
            .rows
            .iter()
            .filter(|row| row.role == Role::Arm)
            .filter_map(|row| {
                Some(row.comparison.as_ref()?.processes).filter(|&processes| processes > 0)
            })
            .max();
        let said = match compared {
            _ if !judged.is_empty() => judged.join(", "),
            Some(processes) => format!(
                "not enough data for a verdict ({processes} processes of each; {MIN_PROCESSES} and a full run needed)"
            ),
            None => "nothing to compare with".to_owned(),
        };
        let _ = writeln!(
            text,
            "{}: {said}; {}, {floor}",
            printable(&title(section)),
            printable(&metric),
        );
        for row in &section.rows {
            for failure in &row.failures {
                let _ = writeln!(text, "  {}: {}", printable(&row.label), printable(failure));
            }
        }
    }
}

/// One line per kind of failure, for a display without verdicts.
fn failures(text: &mut String, sections: &[Section]) {
    for section in sections {
        for row in &section.rows {
            for failure in &row.failures {
                let (label, failure) = (printable(&row.label), printable(failure));
                let _ = writeln!(
                    text,
                    "{} under {label}: {failure}",
                    printable(&title(section))
                );
            }
        }
    }
}

fn title(section: &Section) -> String {
    let parameters = summary::parameters(&section.params);
    if parameters.is_empty() {
        section.name()
    } else {
        format!("{} ({parameters})", section.name())
    }
}

/// Text from a file, without what would steer the terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect()
}
