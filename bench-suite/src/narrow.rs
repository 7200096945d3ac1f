//! A table, or the same content row by row if the terminal is too narrow.

use std::fmt::Write as _;

use comfy_table::{Table, presets};

/// `rows` under `header`. Each row's first cell is its name. A row may be shorter than the header.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>], width: Option<usize>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(header);
    for row in rows {
        table.add_row(row);
    }
    let text = table.to_string();
    let widest = text
        .lines()
        .map(|line| line.trim_end().chars().count())
        .max();
    if width.is_none_or(|width| widest <= Some(width)) {
        return text + "\n";
    }
    let mut text = String::new();
    for row in rows {
        let _ = writeln!(text, "{}", row.first().map_or("", String::as_str));
        for (title, cell) in header.iter().zip(row).skip(1) {
            let _ = writeln!(text, "  {title}: {cell}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_terminal_gets_rows_and_no_broken_words() {
        let rows = [vec!["n1".to_owned(), "12 B".to_owned(), "3 KiB".to_owned()]];
        let header = ["runtime", "page tables", "kernel"];
        let wide = table(&header, &rows, Some(80));
        assert_eq!(wide, table(&header, &rows, None));
        assert_eq!(wide.lines().count(), 2);
        let narrow = table(&header, &rows, Some(20));
        assert_eq!(narrow, "n1\n  page tables: 12 B\n  kernel: 3 KiB\n");
    }
}
