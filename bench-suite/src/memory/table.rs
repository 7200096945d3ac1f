//! The table of `lab memory`.

use std::fmt::Write as _;

use super::reading::PARTS;
use super::{Bytes, Figure, Measured, TaskState};
use crate::terminal::{self, wrapped};
use crate::units;

const TITLES: [&str; 4] = ["user", "stacks", "kernel", "page tables"];

/// The sum of the parts, if all are known.
fn whole(figure: &Figure) -> Option<f64> {
    let parts = PARTS.iter().map(|part| figure.bytes_per_task.get(part));
    parts.map(|part| part.map(|bytes| bytes.estimate)).sum()
}

/// Whole bytes up to a kilobyte, and more beyond; a slope within its own error of 0 says `0`.
fn cell(bytes: Option<&Bytes>) -> String {
    match bytes {
        None => "?".to_owned(),
        Some(Bytes {
            ci95: Some([low, high]),
            ..
        }) if *low <= 0.0 && *high >= 0.0 => "0".to_owned(),
        Some(bytes) => shown(bytes.estimate),
    }
}

fn shown(bytes: f64) -> String {
    if bytes.abs() < 1024.0 {
        format!("{bytes:.0} B")
    } else {
        units::bytes(bytes).trim().to_owned()
    }
}

fn rows(measured: &Measured, state: TaskState) -> Vec<Vec<String>> {
    let figures = measured
        .figures
        .iter()
        .filter(|figure| figure.state == state);
    figures
        .map(|figure| {
            let mut row = vec![figure.runtime.clone()];
            if figure.bytes_per_task.is_empty() {
                row.push(
                    figure
                        .error
                        .clone()
                        .unwrap_or_else(|| "no figure".to_owned()),
                );
                return row;
            }
            row.push(whole(figure).map_or_else(|| "?".to_owned(), shown));
            row.extend(
                PARTS
                    .iter()
                    .map(|part| cell(figure.bytes_per_task.get(part))),
            );
            row
        })
        .collect()
}

/// Below the table.
fn notes(measured: &Measured) -> Vec<String> {
    let (few, many) = (super::FEW, super::MANY);
    let usual = format!("{few:?} tasks with threads or sockets, {many:?} of the others");
    let mut asked: Vec<&Vec<u64>> = measured
        .figures
        .iter()
        .map(|figure| &figure.tasks)
        .collect();
    asked.dedup();
    let tasks = match asked.as_slice() {
        [one] => format!("{one:?} tasks"),
        _ => usual,
    };
    let mut notes = vec![format!(
        "Bytes for each task, as slopes through {tasks}, {} processes each. 0 is a slope within its error of 0. The \
         kernel's part is that of the {}.",
        measured.rounds,
        match measured.kernel_part_of {
            "machine" => "whole machine: what others do is in it",
            _ => "control group of the measured process",
        }
    )];
    for figure in &measured.figures {
        if let (Some(error), false) = (&figure.error, figure.bytes_per_task.is_empty()) {
            notes.push(format!(
                "{} {}: {error}",
                figure.runtime,
                figure.state.workload()
            ));
        }
    }
    notes
}

pub(super) fn terminal(measured: &Measured) -> String {
    let mut text = String::new();
    for state in TaskState::ALL {
        let rows = rows(measured, state);
        if rows.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\nA task {}", state.title());
        let mut table = comfy_table::Table::new();
        table.load_preset(comfy_table::presets::NOTHING);
        table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
        if let Some(width) = terminal::width() {
            table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
        }
        table.set_header(["runtime", "whole"].into_iter().chain(TITLES));
        for row in rows {
            table.add_row(row);
        }
        let _ = writeln!(text, "{table}");
    }
    for note in notes(measured) {
        let _ = writeln!(text, "{}", wrapped(&note, terminal::width(), 2));
    }
    text
}

pub(super) fn markdown(measured: &Measured) -> String {
    let mut text = String::new();
    for state in TaskState::ALL {
        let rows = rows(measured, state);
        if rows.is_empty() {
            continue;
        }
        let _ = writeln!(text, "### A task {}\n", state.title());
        let _ = writeln!(text, "| runtime | whole | {} |", TITLES.join(" | "));
        let _ = writeln!(text, "|---|---:|{}", "---:|".repeat(TITLES.len()));
        for mut row in rows {
            row.resize(2 + TITLES.len(), String::new());
            let row = row.iter().map(|cell| cell.replace('|', "\\|"));
            let _ = writeln!(text, "| {} |", row.collect::<Vec<_>>().join(" | "));
        }
        let _ = writeln!(text);
    }
    for note in notes(measured) {
        let _ = writeln!(text, "{note}");
    }
    text
}
