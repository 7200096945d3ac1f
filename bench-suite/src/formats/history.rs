//! A history that grows by one row per run: a CSV file for Apache Otava or any spreadsheet.
//!
//! The first columns are `time` and what was measured; the others are figures. A missing figure is `nan`, which Otava
//! parses as a number. Otava's `branch` column is not written.

use std::collections::BTreeMap;

use super::arms;
use crate::results::{Results, csv};
use crate::units;

const FIRST: [&str; 4] = ["time", "commit", "program", "cpu"];
const MISSING: &str = "nan";

/// The history with a row for these results at its end. `old` is the current content of the file, empty if there is
/// none.
///
/// # Errors
/// What is wrong with the old file, which then stays unchanged.
pub(crate) fn history(results: &Results, old: &str) -> Result<String, String> {
    let mut rows = csv::parse(old)?;
    let mut header = if rows.is_empty() {
        FIRST.map(str::to_owned).to_vec()
    } else {
        rows.remove(0)
    };
    if header.first().map(String::as_str) != Some(FIRST[0]) {
        return Err(format!(
            "its first column is not `{}`, so it is not a history of the lab",
            FIRST[0]
        ));
    }
    let one = results.environments.first().cloned().unwrap_or_default();
    let now = units::utc_iso(one.started_unix_s.unwrap_or(0));
    let mut row: BTreeMap<String, String> = FIRST
        .map(str::to_owned)
        .into_iter()
        .zip([
            now,
            one.commit.unwrap_or_default(),
            one.program.unwrap_or_default(),
            one.cpu.unwrap_or_default(),
        ])
        .collect();
    for arm in arms(results) {
        for metric in [
            arm.section.metric.as_str(),
            "cpu_ns_per_op",
            "peak_rss_bytes",
        ] {
            if let Some(value) = arm.row.medians.get(metric) {
                row.insert(format!("{}:{metric}", arm.name()), value.to_string());
            }
        }
    }
    let new = row.keys().filter(|name| !header.contains(name)).cloned();
    let new: Vec<String> = new.collect();
    header.extend(new);
    let mut text = csv::line(&header);
    for mut old in rows {
        old.resize(header.len(), MISSING.to_owned());
        text.push_str(&csv::line(&old));
    }
    let cells: Vec<String> = header
        .iter()
        .map(|name| row.remove(name).unwrap_or_else(|| MISSING.to_owned()))
        .collect();
    text.push_str(&csv::line(&cells));
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::results;

    #[test]
    fn the_history_grows_by_a_row_and_by_new_columns_and_keeps_the_old_rows() {
        let mut results = results();
        let first = history(&results, "").unwrap();
        let second = history(&results, &first).unwrap();
        assert!(second.starts_with(&first), "{second}");
        for run in &mut results.runs {
            run.workload = "http".into();
        }
        let third = csv::parse(&history(&results, &second).unwrap()).unwrap();
        assert_eq!(third.len(), 4);
        assert!(third.iter().all(|row| row.len() == third[0].len()));
        let column = |name: &str| third[0].iter().position(|other| other == name).unwrap();
        assert_eq!(third[1][column("time")], "2001-09-09T01:46:40Z");
        let old = column("echo/text=7/mn:wall_ns_per_op");
        let new = column("http/text=7/mn:wall_ns_per_op");
        let values = |at: usize| {
            [&third[1][at], &third[2][at], &third[3][at]].map(|text| text.parse::<f64>().unwrap())
        };
        assert_eq!(values(old)[..2], [100.0, 100.0]);
        assert!(values(old)[2].is_nan() && values(new)[0].is_nan());
        assert_eq!(values(new)[2], 100.0);
    }

    #[test]
    fn a_file_that_is_not_a_history_is_left_unchanged() {
        assert!(
            history(&results(), "a,b\r\n1,2\r\n")
                .unwrap_err()
                .contains("`time`")
        );
        assert!(
            history(&results(), "time,\"a\r\n")
                .unwrap_err()
                .contains("quot")
        );
    }
}
