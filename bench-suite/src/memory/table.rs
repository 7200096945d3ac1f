//! The table of `lab memory`.

use std::fmt::Write as _;

use super::figures::{Bytes, FEW_TASKS, Figure, MANY_TASKS, Measured};
use super::reading::PARTS;
use super::task_state::TaskState;
use crate::green::idle::DEPTHS;
use crate::terminal::{self, wrapped};
use crate::{narrow, units};

const TITLES: [&str; 4] = ["user", "stacks", "kernel", "page tables"];

/// The sum of the parts, if all are known.
fn whole(figure: &Figure) -> Option<f64> {
    let parts = PARTS.iter().map(|part| figure.bytes_per_task.get(part));
    parts.map(|part| part.map(|bytes| bytes.estimate)).sum()
}

/// Whole bytes below a kilobyte, and larger units above. A slope within its own error of 0 is shown as `0`.
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

/// The column titles for the depths of green tasks' stacks, in pages.
const DEPTH_TITLES: [&str; DEPTHS.len()] = ["1 page", "2", "3 to 4", "5 to 8", "9 to 16", "more"];

/// The depths of green tasks' stacks, for each runtime and state that has any.
fn depth_rows(measured: &Measured) -> Vec<Vec<String>> {
    let figures = measured.figures.iter();
    figures
        .filter(|figure| !figure.stack_depths.is_empty())
        .map(|figure| {
            let mut row = vec![figure.runtime.clone(), figure.state.workload().to_owned()];
            row.extend(
                figure
                    .stack_depths
                    .iter()
                    .map(|(_, stacks)| stacks.to_string()),
            );
            row
        })
        .collect()
}

const DEPTH_TITLE: &str =
    "How deep the stacks of green tasks went: number of stacks by pages touched";

/// The notes below the table.
fn notes(measured: &Measured) -> Vec<String> {
    let (few, many) = (FEW_TASKS, MANY_TASKS);
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
            "machine" => "whole machine, including other programs",
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
        let header: Vec<&str> = ["runtime", "whole"].into_iter().chain(TITLES).collect();
        text.push_str(&narrow::table(&header, &rows, terminal::width()));
    }
    let rows = depth_rows(measured);
    if !rows.is_empty() {
        let _ = writeln!(text, "\n{DEPTH_TITLE}");
        let header: Vec<&str> = ["runtime", "state"]
            .into_iter()
            .chain(DEPTH_TITLES)
            .collect();
        text.push_str(&narrow::table(&header, &rows, terminal::width()));
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
    let rows = depth_rows(measured);
    if !rows.is_empty() {
        let _ = writeln!(text, "### {DEPTH_TITLE}\n");
        let _ = writeln!(text, "| runtime | state | {} |", DEPTH_TITLES.join(" | "));
        let _ = writeln!(text, "|---|---|{}", "---:|".repeat(DEPTH_TITLES.len()));
        for row in rows {
            let _ = writeln!(text, "| {} |", row.join(" | "));
        }
        let _ = writeln!(text);
    }
    for note in notes(measured) {
        let _ = writeln!(text, "{note}");
    }
    text
}
