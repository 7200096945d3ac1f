//! Prints latency against load, capacities and advice on the terminal.

use std::fmt::Write as _;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, TableComponent};

use crate::results::{Capacity, LoadCurve, LoadPoint, Results};
use crate::summary;
use crate::terminal::wrapped;
use crate::units;

/// The whole text, wrapped to `width` where possible; empty if nothing of the kind was measured.
pub(crate) fn render(results: &Results, width: Option<usize>) -> String {
    let mut text = String::new();
    for curves in by_cell(&results.curves, |one| {
        (one.workload.clone(), one.params.clone())
    }) {
        heading(
            &mut text,
            "Latency against load",
            &curves[0].workload,
            &curves[0].params,
            width,
        );
        let mut doubts: Vec<String> = Vec::new();
        let mut rows: Vec<Vec<String>> = Vec::new();
        for curve in &curves {
            for point in curve.closed.iter().chain(&curve.points) {
                rows.push(row(curve, point, &mut doubts));
            }
        }
        let header = [
            "runtime",
            "requests/s",
            "answered/s",
            "p50",
            "p99",
            "p99.9",
            "in flight",
            "client late p99",
            "CPU/op",
            "remark",
        ];
        table(&mut text, &header, &rows, width);
        for (index, doubt) in doubts.iter().enumerate() {
            let line = format!("  ({}) {doubt}", index + 1);
            let _ = writeln!(text, "{}", wrapped(&line, width, 6));
        }
    }
    for capacities in by_cell(&results.capacities, |one| {
        (one.workload.clone(), one.params.clone())
    }) {
        let first = &capacities[0];
        let title = format!(
            "Capacity at p99 <= {}",
            units::duration_ns(first.p99_target_ns)
        );
        heading(&mut text, &title, &first.workload, &first.params, width);
        for line in capacity_lines(&capacities) {
            let _ = writeln!(text, "{}", wrapped(&format!("  {line}"), width, 4));
        }
    }
    if let Some(advice) = &results.advice {
        let _ = writeln!(text, "\nAdvice");
        for line in &advice.said {
            let _ = writeln!(text, "{}", wrapped(&format!("  {line}"), width, 4));
        }
    }
    text
}

/// Groups entries of the same workload and parameters, in order of first appearance.
pub(crate) fn by_cell<T, K: PartialEq>(all: &[T], key: impl Fn(&T) -> K) -> Vec<Vec<&T>> {
    let mut cells: Vec<(K, Vec<&T>)> = Vec::new();
    for one in all {
        let own = key(one);
        match cells.iter_mut().find(|(other, _)| *other == own) {
            Some((_, these)) => these.push(one),
            None => cells.push((own, vec![one])),
        }
    }
    cells.into_iter().map(|(_, these)| these).collect()
}

fn heading(
    text: &mut String,
    what: &str,
    workload: &str,
    params: &std::collections::BTreeMap<String, u64>,
    width: Option<usize>,
) {
    let line = format!("{what}: {workload} ({})", summary::parameters(params));
    let _ = writeln!(text, "\n{}", wrapped(&line, width, 2));
}

fn row(curve: &LoadCurve, point: &LoadPoint, doubts: &mut Vec<String>) -> Vec<String> {
    let known =
        |value: Option<f64>, show: fn(f64) -> String| value.map_or_else(|| "-".to_owned(), show);
    let mut remarks = Vec::new();
    if point.saturated {
        remarks.push("saturated".to_owned());
    }
    if let Some(doubt) = &point.doubt {
        let number = doubts
            .iter()
            .position(|one| one == doubt)
            .unwrap_or_else(|| {
                doubts.push(doubt.clone());
                doubts.len() - 1
            });
        remarks.push(format!("({})", number + 1));
    }
    vec![
        curve.runtime.clone(),
        point
            .offered_per_s
            .map_or_else(|| "closed loop".to_owned(), units::rate),
        units::rate(point.answered_per_s),
        units::duration_ns(point.p50_ns),
        units::duration_ns(point.p99_ns),
        units::duration_ns(point.p999_ns),
        known(point.in_flight, units::count),
        known(point.client_late_p99_ns, units::duration_ns),
        known(point.cpu_ns_per_op, units::duration_ns),
        remarks.join(" "),
    ]
}

/// A table, or one line per row if the table is too wide.
fn table(text: &mut String, header: &[&str], rows: &[Vec<String>], width: Option<usize>) {
    let mut table = Table::new();
    table
        .load_preset(UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Disabled);
    for line in [
        TableComponent::HorizontalLines,
        TableComponent::LeftBorderIntersections,
        TableComponent::MiddleIntersections,
        TableComponent::RightBorderIntersections,
    ] {
        table.remove_style(line);
    }
    table.set_header(header.to_vec());
    for row in rows {
        let last = row.len() - 1;
        table.add_row(row.iter().enumerate().map(|(index, cell)| {
            let alignment = if index == 0 || index == last {
                CellAlignment::Left
            } else {
                CellAlignment::Right
            };
            Cell::new(cell).set_alignment(alignment)
        }));
    }
    let drawn = table.to_string();
    let widest = drawn.lines().map(|line| line.chars().count()).max();
    if width.is_none_or(|width| widest.unwrap_or(0) <= width) {
        let _ = writeln!(text, "{drawn}");
        return;
    }
    for row in rows {
        let cells = header.iter().zip(row).skip(2);
        let cells: Vec<String> = cells
            .filter(|(_, cell)| !cell.is_empty())
            .map(|(title, cell)| format!("{title} {cell}"))
            .collect();
        let line = format!("  {} at {}: {}", row[0], row[1], cells.join(", "));
        let _ = writeln!(text, "{}", wrapped(&line, width, 4));
    }
}

/// One line per capacity, the largest first: `mn 41.2 k/s [40.6, 41.9]; 8.20 µs CPU per op and 9.81 MiB there`.
pub(crate) fn capacity_lines(capacities: &[&Capacity]) -> Vec<String> {
    let mut sorted = capacities.to_vec();
    sorted.sort_by(|a, b| b.per_s.unwrap_or(0.0).total_cmp(&a.per_s.unwrap_or(0.0)));
    sorted.iter().map(|one| capacity_line(one)).collect()
}

/// Whole searches that differ by more than this are worth a look.
const MAX_SPREAD: f64 = 0.05;

fn capacity_line(one: &Capacity) -> String {
    let Some(rate) = one.per_s else {
        let why = one
            .limit
            .as_deref()
            .unwrap_or("the search ended before it was known");
        return format!("{}: {why}", one.runtime);
    };
    let mut line = format!("{}: {}/s", one.runtime, units::rate(rate));
    if let Some([low, high]) = one.ci95 {
        let _ = write!(line, " [{}, {}]", units::rate(low), units::rate(high));
    }
    if let Some(ratio) = one.ratio {
        let _ = write!(
            line,
            ", {} of the largest",
            units::ratio(Some(ratio), one.ratio_ci95)
        );
        if let Some(verdict) = one.verdict {
            let _ = write!(line, ", {verdict}");
        }
    }
    if let (Some(cpu), Some(bytes)) = (one.cpu_ns_per_op, one.peak_rss_bytes) {
        let _ = write!(
            line,
            "; {} CPU per op and {} there",
            units::duration_ns(cpu),
            units::bytes(bytes)
        );
    }
    let _ = write!(line, "; {} probes", one.probes.len());
    if one.repeats.len() > 1 {
        let off = one.repeats.iter().map(|other| (other / rate - 1.0).abs());
        let near = off.clone().filter(|off| *off <= MAX_SPREAD).count();
        let _ = write!(
            line,
            "; {near} of {} searches within {} of their median, the furthest {} off",
            one.repeats.len(),
            units::percent(MAX_SPREAD),
            units::percent(off.fold(0.0, f64::max))
        );
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results() -> Results {
        let point = |offered: Option<f64>, doubt: Option<&str>| LoadPoint {
            offered_per_s: offered,
            answered_per_s: 1000.0,
            processes: 3,
            p50_ns: 1e5,
            p99_ns: 1e6,
            p999_ns: 2e6,
            client_late_p99_ns: offered.map(|_| 5e4),
            in_flight: Some(3.0),
            saturated: offered == Some(9000.0),
            doubt: doubt.map(str::to_owned),
            ..LoadPoint::default()
        };
        let curve = |runtime: &str| LoadCurve {
            workload: "echo".into(),
            runtime: runtime.into(),
            connections: 64,
            closed: Some(point(None, Some("hides waiting: 64 of 64"))),
            points: vec![point(Some(300.0), None), point(Some(9000.0), None)],
            ..LoadCurve::default()
        };
        Results {
            curves: vec![curve("n1"), curve("mn")],
            capacities: vec![
                Capacity {
                    workload: "echo".into(),
                    runtime: "n1".into(),
                    p99_target_ns: 5e6,
                    limit: Some("no rate keeps it: at 4/s p99 is 90.0 ms".into()),
                    ..Capacity::default()
                },
                Capacity {
                    workload: "echo".into(),
                    runtime: "mn".into(),
                    p99_target_ns: 5e6,
                    per_s: Some(41_200.0),
                    ci95: Some([40_600.0, 41_900.0]),
                    repeats: vec![41_200.0, 40_000.0],
                    ..Capacity::default()
                },
            ],
            ..Results::default()
        }
    }

    #[test]
    fn curves_show_the_closed_loop_first_and_each_doubt_once() {
        let text = render(&results(), None);
        assert_eq!(text.matches("(1) hides waiting").count(), 1, "{text}");
        assert_eq!(text.matches("closed loop").count(), 2, "{text}");
        assert_eq!(text.matches("saturated").count(), 2, "{text}");
    }

    #[test]
    fn capacities_are_sorted_by_size_with_their_limits() {
        let text = render(&results(), None);
        let mn = text.find("mn: 41.2 k/s [40.6 k, 41.9 k]").expect(&text);
        let n1 = text.find("n1: no rate keeps it").expect(&text);
        assert!(
            mn < n1
                && text
                    .contains("2 of 2 searches within 5% of their median, the furthest 2.91% off"),
            "{text}"
        );
    }

    #[test]
    fn a_narrow_terminal_gets_lines() {
        let text = render(&results(), Some(40));
        assert!(
            text.lines().all(|line| line.chars().count() <= 40),
            "{text}"
        );
        assert!(text.contains("n1 at closed loop:"), "{text}");
        assert!(render(&Results::default(), None).is_empty());
    }
}
