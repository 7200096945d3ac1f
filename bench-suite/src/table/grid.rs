//! A table that fits the terminal: split between columns, or as a list if the terminal is too narrow for any table.

use std::fmt::Write as _;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, TableComponent,
};

use crate::matrix::Column;
use crate::terminal::{printable, wrapped};

/// A table that can be split into several, one below the other, each with the key columns. A line that the terminal
/// wraps is unreadable.
pub(super) struct Grid {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Vec<String>>,
    /// The number of leading columns that are repeated in each part.
    pub(super) keys: usize,
}

impl Grid {
    pub(super) fn render(&self, text: &mut String, width: Option<usize>) {
        if width.is_some_and(|width| width < self.narrowest()) {
            self.list(text, width);
            return;
        }
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

    /// The smallest width in which the keys and any one other column fit side by side.
    fn narrowest(&self) -> usize {
        let keys: usize = (0..self.keys).map(|index| self.taken(index)).sum();
        let others = (self.keys..self.columns.len()).map(|index| self.taken(index));
        keys + others.max().unwrap_or(0)
    }

    /// The same figures one below the other, for a width in which no table fits.
    fn list(&self, text: &mut String, width: Option<usize>) {
        for row in &self.rows {
            let keys = row.iter().take(self.keys).map(String::as_str);
            let keys = keys.collect::<Vec<_>>().join(", ");
            let _ = writeln!(text, "{}", wrapped(&printable(&keys), width, 2));
            let others = self.columns.iter().zip(row).skip(self.keys);
            for (column, cell) in others.filter(|(_, cell)| !cell.is_empty()) {
                let line = format!("  {}: {cell}", column.title);
                let _ = writeln!(text, "{}", wrapped(&printable(&line), width, 4));
            }
        }
    }

    /// Adds a column at `place`, if the columns up to the verdict still fit side by side.
    pub(super) fn add_picture(
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

    /// The width of a column, with a space on each side and a separator.
    fn taken(&self, index: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(index));
        let widest = cells
            .chain([&self.columns[index].title])
            .map(|text| text.chars().count())
            .max();
        widest.unwrap_or(0) + 3
    }

    /// The columns of each part: the keys, and as many others as fit, but at least one.
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

/// The colour of a verdict, if the terminal supports colours. The text says the same.
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
    // Lines around a workload's arms would be noise.
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
        // The columns up to the verdict take 52 characters.
        assert!(!added(None) && !added(Some(64)) && added(Some(65)));
    }

    #[test]
    fn a_table_is_cut_between_columns_and_never_within_a_word() {
        let grid = wide();
        assert_eq!(grid.parts(None), [[0, 1, 2, 3].to_vec()]);
        assert_eq!(grid.parts(Some(60)), [[0, 1, 2].to_vec(), [0, 3].to_vec()]);
        // Each part has at least one figure, however narrow it is.
        assert_eq!(grid.parts(Some(1)), [[0, 1], [0, 2], [0, 3]]);
        for width in [41, 49, 60, 80] {
            let mut text = String::new();
            grid.render(&mut text, Some(width));
            for line in text.lines() {
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
            for word in ["tokio-mt, again (A/A)", "not enough data", "4.20 MiB"] {
                assert!(text.contains(word), "{width}: {text}");
            }
        }
    }

    #[test]
    fn where_no_table_fits_figures_stand_below_each_other() {
        let mut text = String::new();
        wide().render(&mut text, Some(20));
        assert_eq!(
            text,
            "tokio-mt, again\n  (A/A)\n  time/op: 12.3 µs\n  verdict: not\n    enough data\n  peak RSS: 4.20 MiB\n"
        );
    }
}
