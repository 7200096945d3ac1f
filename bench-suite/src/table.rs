//! Results on the terminal: a table for each workload, then the verdicts in words.

use std::fmt::Write as _;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, TableComponent,
};

use crate::answer;
use crate::marks;
use crate::matrix::{self, Column};
use crate::results::{Results, Role};
use crate::summary::{self, Row, Section};
use crate::terminal::wrapped;
use crate::units;

/// The answer in words, below a table of the models; empty if the results do not compare models.
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
            "Ratios to the model that says 1; less is better; open: not enough data.",
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

/// Everything that is printed on standard output about `results`, in lines of at most `width` as far as that can be.
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

/// A table for each workload.
fn swept(text: &mut String, results: &Results, sections: &[Section], width: Option<usize>) {
    for matrix in matrix::matrices(results, sections) {
        let mut heading = matrix.title.clone();
        if !matrix.op.is_empty() {
            let _ = write!(heading, "; one op: {}", matrix.op);
        }
        let _ = writeln!(text, "\n{}", wrapped(&printable(&heading), width, 2));
        // What tells the rows apart.
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

/// A table that can be cut into several below each other, each with the key columns: a line that is broken by the
/// terminal can't be read.
struct Grid {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
    /// So many columns, the first ones, are repeated in each part.
    keys: usize,
}

impl Grid {
    fn render(&self, text: &mut String, width: Option<usize>) {
        for part in self.parts(width) {
            let mut table = empty_table();
            let header = part.iter().map(|&index| &self.columns[index]);
            table.set_header(
                header.map(|column| {
                    cell(&column.title, column.figure).add_attribute(Attribute::Bold)
                }),
            );
            for row in &self.rows {
                let cells = part.iter().map(|&index| {
                    let text = row.get(index).map_or("", String::as_str);
                    cell(text, self.columns[index].figure)
                });
                table.add_row(cells);
            }
            let _ = writeln!(text, "{table}");
        }
    }

    /// Adds a column at this place if the columns up to the verdict still fit beside each other.
    fn add_picture(
        &mut self,
        width: Option<usize>,
        place: usize,
        picture: usize,
        title: String,
        pictures: impl Iterator<Item = String>,
    ) {
        let verdict = self
            .columns
            .iter()
            .position(|column| column.title == "verdict");
        let needed =
            verdict.map(|verdict| (0..=verdict).map(|index| self.taken(index)).sum::<usize>());
        let fits = needed
            .zip(width)
            .is_some_and(|(needed, width)| needed + picture + 3 <= width);
        if !fits {
            return;
        }
        let column = Column {
            title,
            figure: false,
        };
        self.columns.insert(place, column);
        for (row, picture) in self.rows.iter_mut().zip(pictures) {
            row.insert(place, picture);
        }
    }

    /// The width of a column: a space on each side, and one between two columns.
    fn taken(&self, index: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(index));
        let widest = cells
            .chain([&self.columns[index].title])
            .map(|text| text.chars().count())
            .max();
        widest.unwrap_or(0) + 3
    }

    /// The columns of each part: the keys, and as many others as fit, at least one.
    fn parts(&self, width: Option<usize>) -> Vec<Vec<usize>> {
        let keys: Vec<usize> = (0..self.keys).collect();
        let keys_width: usize = keys.iter().map(|&index| self.taken(index)).sum();
        let mut parts = vec![keys.clone()];
        let mut used = keys_width;
        for index in self.keys..self.columns.len() {
            let last = parts.last_mut().expect("there is always one");
            let fits = width.is_none_or(|width| used + self.taken(index) <= width);
            if fits || last.len() == self.keys {
                last.push(index);
                used += self.taken(index);
            } else {
                let mut part = keys.clone();
                part.push(index);
                parts.push(part);
                used = keys_width + self.taken(index);
            }
        }
        parts
    }
}

fn cell(text: &str, figure: bool) -> Cell {
    let alignment = if figure {
        CellAlignment::Right
    } else {
        CellAlignment::Left
    };
    let cell = Cell::new(printable(text)).set_alignment(alignment);
    match tone(text) {
        Some(tone) => cell.fg(tone),
        None => cell,
    }
}

/// The colour of a verdict, where there is a terminal that is to have colours. The word says the same.
fn tone(text: &str) -> Option<Color> {
    let says = |word: &str| text == word || text.ends_with(&format!(" {word}"));
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    match () {
        () if !wanted => None,
        () if says("better") => Some(Color::Blue),
        () if says("worse") => Some(Color::DarkYellow),
        () => None,
    }
}

fn empty_table() -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY);
    // Lines around the arms of a workload would be noise.
    for line in [
        TableComponent::HorizontalLines,
        TableComponent::LeftBorderIntersections,
        TableComponent::MiddleIntersections,
        TableComponent::RightBorderIntersections,
    ] {
        table.remove_style(line);
    }
    table.set_content_arrangement(ContentArrangement::Disabled);
    table
}

/// One row per arm: what is judged and the verdict on it, then the other figures. On a terminal with room for it,
/// pictures stand beside what is judged.
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
    // From the right, so that places stay what they are.
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

/// The figures alone.
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

/// One line per workload with each verdict, then what its figures hide.
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

/// One line per kind of failure, for a display without verdicts.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn wide() -> Grid {
        let column = |title: &str, figure| Column {
            title: title.to_owned(),
            figure,
        };
        Grid {
            columns: vec![
                column("runtime", false),
                column("time/op", true),
                column("verdict", false),
                column("peak RSS", true),
            ],
            rows: vec![vec![
                "tokio-mt, again (A/A)".to_owned(),
                "12.3 µs".to_owned(),
                "not enough data".to_owned(),
                "4.20 MiB".to_owned(),
            ]],
            keys: 1,
        }
    }

    #[test]
    fn pictures_stand_where_there_is_room_for_them() {
        let added = |width| {
            let mut grid = wide();
            grid.add_picture(
                width,
                2,
                10,
                "bar".to_owned(),
                std::iter::once("██".to_owned()),
            );
            grid.columns.len() == 5 && grid.rows[0][2] == "██"
        };
        // The columns up to the verdict take 52.
        assert!(!added(None) && !added(Some(64)) && added(Some(65)));
    }

    #[test]
    fn a_table_is_cut_between_columns_and_never_within_a_word() {
        let grid = wide();
        assert_eq!(grid.parts(None), [[0, 1, 2, 3].to_vec()]);
        assert_eq!(grid.parts(Some(60)), [[0, 1, 2].to_vec(), [0, 3].to_vec()]);
        // Each part has something to say, however narrow.
        assert_eq!(grid.parts(Some(1)), [[0, 1], [0, 2], [0, 3]]);
        for width in [33, 49, 60, 80] {
            let mut text = String::new();
            grid.render(&mut text, Some(width));
            for line in text.lines() {
                assert!(line.chars().count() <= width.max(41), "{width}: {line}");
            }
            for word in ["tokio-mt, again (A/A)", "not enough data", "4.20 MiB"] {
                assert!(text.contains(word), "{width}: {text}");
            }
        }
    }
}
