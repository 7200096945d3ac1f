//! Results on the terminal: a table for each workload, then the verdicts in words.

mod grid;

use std::fmt::Write as _;

use crate::answer;
use crate::marks;
use crate::matrix::{self, Column};
use crate::results::{Results, Role};
use crate::summary::{self, Row, Section};
use crate::terminal::{printable, wrapped};
use crate::units;
use grid::Grid;

/// The answer in words, under a table of the models; empty if the results don't compare models.
pub(crate) fn answer(results: &Results, width: Option<usize>) -> String {
    let sections = summary::sections(results);
    let answers = answer::answers(results, &sections);
    let Some(overview) = answer::Overview::of(&sections).filter(|_| !answers.is_empty()) else {
        return String::new();
    };
    let mut text = String::new();
    let machine = results
        .environments
        .first()
        .map_or_else(String::new, |one| {
            let cpu = one.cpu.as_deref().unwrap_or("an unknown processor");
            format!(
                " ({cpu}, {} core{})",
                one.cores,
                if one.cores == 1 { "" } else { "s" }
            )
        });
    let heading = format!("The answer on this machine{}", printable(&machine));
    let _ = writeln!(text, "\n{}", wrapped(&heading, width, 2));
    let _ = writeln!(
        text,
        "{}",
        wrapped(
            "Ratios to the model that says 1; less is better; open: not enough data to decide.",
            width,
            2
        )
    );
    let columns = overview
        .header
        .iter()
        .enumerate()
        .map(|(index, title)| Column {
            title: title.clone(),
            figure: index > 1,
        });
    let grid = Grid {
        columns: columns.collect(),
        rows: overview.rows,
        keys: 1,
    };
    grid.render(&mut text, width);
    for (indent, line) in answer::lines(&answers) {
        let line = format!("{:indent$}{line}", "");
        let _ = writeln!(text, "{}", wrapped(&printable(&line), width, indent + 2));
    }
    text
}

/// The complete standard output for `results`, wrapped to `width` where possible.
pub(crate) fn render(results: &Results, width: Option<usize>) -> String {
    let sections = summary::sections(results);
    let mut text = String::new();
    if results.sweep.is_some() {
        swept(&mut text, results, &sections, width);
        failures(&mut text, &sections, width);
    } else {
        compared(&mut text, &sections, width);
        verdicts(&mut text, &sections, width);
    }
    if let Some(method) = &results.method {
        let line = format!("Ratios: runtime / baseline, less is better; {method}.");
        let _ = writeln!(text, "{}", wrapped(&printable(&line), width, 2));
    }
    if let Some(certificate) = &results.certificate {
        let line = format!(
            "This lab's own errors, by `lab prove`: {}.",
            certificate.summary()
        );
        let _ = writeln!(text, "{}", wrapped(&printable(&line), width, 2));
    }
    for note in &results.notes {
        let line = format!("Note: {note}.");
        let _ = writeln!(text, "{}", wrapped(&printable(&line), width, 2));
    }
    text
}

/// A table for each workload, under the heading of its group.
fn compared(text: &mut String, sections: &[Section], width: Option<usize>) {
    let mut groups: Vec<&str> = Vec::new();
    for section in sections {
        if !groups.contains(&section.workload.group.as_str()) {
            groups.push(&section.workload.group);
        }
    }
    for group in groups {
        let _ = writeln!(text, "\n{}", printable(group));
        for section in sections
            .iter()
            .filter(|section| section.workload.group == group)
        {
            let mut heading = title(section);
            if !section.flags.is_empty() {
                let _ = write!(heading, " [{}]", section.flags.join(", "));
            }
            let _ = writeln!(text, "\n{}", wrapped(&printable(&heading), width, 2));
            grid(section, width).render(text, width);
            for (runtime, reason) in &section.absent {
                let line = format!("  {runtime}: {reason}");
                let _ = writeln!(text, "{}", wrapped(&printable(&line), width, 4));
            }
        }
    }
    text.push('\n');
}

/// One table per workload.
fn swept(text: &mut String, results: &Results, sections: &[Section], width: Option<usize>) {
    for matrix in matrix::matrices(results, sections) {
        let mut heading = matrix.title.clone();
        if !matrix.op.is_empty() {
            let _ = write!(heading, "; one op: {}", matrix.op);
        }
        let _ = writeln!(text, "\n{}", wrapped(&printable(&heading), width, 2));
        // These columns tell the rows apart.
        let keys = matrix
            .columns
            .iter()
            .take_while(|column| !column.figure)
            .count();
        let grid = Grid {
            columns: matrix.columns,
            rows: matrix.rows,
            keys,
        };
        grid.render(text, width);
    }
    let legend = format!("Medians over processes; {}.", matrix::legend(results));
    let _ = writeln!(text, "\n{}", wrapped(&legend, width, 2));
}

/// One row per arm: the judged metric and its verdict, then the other figures. A terminal with enough room also gets
/// pictures beside the judged metric.
fn grid(section: &Section, width: Option<usize>) -> Grid {
    let mut grid = figures(section);
    let metric = &section.metric;
    let ratio = |row: &Row| row.comparison.as_ref().and_then(|one| one.ratio);
    let limit = marks::limit(section.rows.iter().filter_map(ratio));
    let most = section
        .rows
        .iter()
        .filter_map(|row| row.medians.get(metric));
    let most = most.copied().fold(0.0, f64::max);
    // Add the columns from the right, so that earlier indices stay valid.
    let interval = |row: &Row| match &row.comparison {
        Some(one) if row.ok > 0 => marks::interval(one.ratio, one.ci95, limit),
        _ if row.baseline && row.ok > 0 => marks::interval(Some(1.0), None, limit),
        _ => String::new(),
    };
    let bar = |row: &Row| marks::bar(row.medians.get(metric).copied().unwrap_or(0.0), most);
    let rows = &section.rows;
    grid.add_picture(
        width,
        3,
        marks::INTERVAL,
        marks::scale(limit),
        rows.iter().map(interval),
    );
    grid.add_picture(width, 2, marks::BAR, String::new(), rows.iter().map(bar));
    grid
}

/// The figures without the pictures.
fn figures(section: &Section) -> Grid {
    let metrics = section.columns();
    let column = |title: String, figure| Column { title, figure };
    let (judged, others) = metrics.split_first().expect("what is judged");
    let mut columns = vec![
        column("runtime".to_owned(), false),
        column(units::metric_column(judged), true),
        column(format!("ratio of {} [95% CI]", short_metric(judged)), true),
        column("verdict".to_owned(), false),
    ];
    columns.extend(
        others
            .iter()
            .map(|metric| column(units::metric_column(metric), true)),
    );
    let row = |row: &Row| {
        let value = |metric: &String| {
            row.medians
                .get(metric)
                .map_or_else(|| "-".to_owned(), |&value| units::metric(metric, value))
        };
        let ratio = match &row.comparison {
            Some(comparison) if row.ok > 0 => units::ratio(comparison.ratio, comparison.ci95),
            _ => String::new(),
        };
        let mut cells = vec![
            row.label.clone(),
            value(judged),
            ratio,
            summary::verdict(row),
        ];
        cells.extend(others.iter().map(value));
        cells
    };
    Grid {
        columns,
        rows: section.rows.iter().map(row).collect(),
        keys: 1,
    }
}

fn short_metric(metric: &str) -> &str {
    match metric {
        "wall_ns_per_op" => "time",
        "cpu_ns_per_op" => "CPU",
        "latency_p50_ns" => "p50",
        "latency_p99_ns" => "p99",
        "latency_p999_ns" => "p99.9",
        "bytes_per_task" => "bytes",
        other => other,
    }
}

/// One line per workload with each verdict, then the remarks that its figures hide.
fn verdicts(text: &mut String, sections: &[Section], width: Option<usize>) {
    for section in sections {
        let judged: Vec<String> = section
            .rows
            .iter()
            .filter(|row| row.role == Role::Arm)
            .filter_map(|row| {
                let comparison = row.comparison.as_ref()?;
                comparison.verdict?;
                let ratio = units::ratio(Some(comparison.ratio?), None);
                Some(format!("{} {ratio}, {}", row.label, summary::verdict(row)))
            })
            .collect();
        let said = if judged.is_empty() {
            "nothing to compare with".to_owned()
        } else {
            judged.join("; ")
        };
        let metric = units::metric_title(&section.metric);
        let floor = match section.noise_floor {
            Some(floor) => format!("A/A noise floor {:.1}%", floor * 100.0),
            None => "A/A noise floor unknown".to_owned(),
        };
        let baseline = section.rows.iter().find(|row| row.baseline);
        let against = baseline.map_or_else(String::new, |row| format!(" against {}", row.label));
        let line = format!("{}{against}: {said} ({metric}, {floor})", title(section));
        let _ = writeln!(text, "{}", wrapped(&printable(&line), width, 2));
        for (label, remark) in section.remarks() {
            let line = format!("  {label}: {remark}");
            let _ = writeln!(text, "{}", wrapped(&printable(&line), width, 4));
        }
    }
}

/// One line per failure, for output without verdicts.
fn failures(text: &mut String, sections: &[Section], width: Option<usize>) {
    for section in sections {
        for row in &section.rows {
            for failure in &row.failures {
                let line = format!("{} under {}: {failure}", title(section), row.label);
                let _ = writeln!(text, "{}", wrapped(&printable(&line), width, 2));
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
