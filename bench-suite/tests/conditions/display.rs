//! What is displayed: everything that is judged, in lines that fit.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::process::{MEMORY, QUICK, SCALE, folder, lab, stderr, stdout};

fn at_width(folder: &Path, columns: usize, line: &str) -> Output {
    let output = lab(folder, line)
        .env("COLUMNS", columns.to_string())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    output
}

fn assert_fits(text: &str, columns: usize) {
    for line in text.lines() {
        // A single word may be longer than any line.
        let words = line.split_whitespace().count();
        let length = line.chars().count();
        assert!(
            length <= columns || words < 2,
            "{columns}: {length}: {line}"
        );
    }
}

const MIXED: &str = "compare mixed --runtime n1,mn --param duration_ms=200 --param connections=4 \
    --param hogs=1 --quick --rounds 2 --no-progress";
const IDLE: &str = "compare idle --runtime n1,mn --size 200 --quick --rounds 2 --no-progress";

#[test]
fn tables_fit_into_80_columns_with_every_word_whole() {
    let folder = folder();
    for line in [
        MIXED,
        IDLE,
        "sweep --workload spawn --size 10 --policy go-like,no-steal --workers 1,2 --quick --no-progress",
    ] {
        for columns in [120, 80] {
            let text = stdout(&at_width(folder.path(), columns, line));
            assert_fits(&text, columns);
        }
        // Without a terminal nothing is cut, and each arm is one line.
        let text = stdout(&lab(folder.path(), line).output().unwrap());
        assert!(text.lines().any(|line| line.chars().count() > 80), "{text}");
    }
    let text = stdout(&at_width(folder.path(), 80, IDLE));
    for word in [
        "mn",
        "n1, again (A/A)",
        "not enough data",
        "baseline",
        "peak RSS",
        "switches/op",
        "ratio of bytes [95% CI]",
    ] {
        assert!(
            text.lines().any(|line| line.contains(word)),
            "`{word}` is broken or missing: {text}"
        );
    }
    // Even if it is too narrow for a table, each column is shown and no line is lost.
    let text = stdout(&at_width(folder.path(), 40, IDLE));
    assert!(
        text.contains("n1, again (A/A)") && text.contains("peak RSS"),
        "{text}"
    );
}

#[test]
fn the_list_fits() {
    let folder = folder();
    for columns in [100, 80, 50] {
        assert_fits(&stdout(&at_width(folder.path(), columns, "list")), columns);
    }
}

#[test]
fn twenty_columns_are_narrow_and_lose_no_word() {
    let folder = folder();
    for (line, words) in [
        (QUICK, ["n1", "baseline", "hash"]),
        (
            "merge lab-out/results.json --json whole.json",
            ["n1", "baseline", "hash"],
        ),
        (MEMORY, ["user", "kernel", "n1"]),
        (SCALE, ["speed-up", "64*", "efficiency"]),
        ("list", ["spawn", "tokio-mt", "idle"]),
    ] {
        let line = line.replace("--workers 1,2", "--workers 1,64");
        let text = stdout(&at_width(folder.path(), 20, &line));
        for word in words {
            assert!(text.contains(word), "{line}: {word}: {text}");
        }
    }
}

/// The data of a report's charts.
fn charts(page: &str) -> serde_json::Value {
    let (_, rest) = page.split_once("id=\"chart-data\">").unwrap();
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

#[test]
fn judged_metrics_are_shown_with_their_median_and_the_clients_lateness() {
    let folder = folder();
    for (line, own, others) in [
        (MIXED, "p99", &["client late p99", "hog cores", "p50"][..]),
        (IDLE, "bytes/task", &["beyond future bytes"][..]),
    ] {
        let text = stdout(&lab(folder.path(), line).output().unwrap());
        let header = text.lines().find(|line| line.contains("verdict")).unwrap();
        for name in others.iter().chain([&own]) {
            assert!(header.contains(name), "{name}: {header}");
        }
        // The judged column of each arm contains a figure, not a dash.
        let arms = text.lines().filter(|line| line.starts_with(" mn  "));
        let judged: Vec<&str> = arms
            .filter_map(|line| line.split_whitespace().nth(1))
            .collect();
        assert!(!judged.is_empty() && !judged.contains(&"-"), "{text}");

        let page = fs::read_to_string(folder.path().join("lab-out/report.html")).unwrap();
        assert!(page.contains(&format!(">{own}</th>")), "{own}");
        for name in others.iter().filter(|name| **name != "p50") {
            assert!(page.contains(&format!(">{name}</th>")), "{name}");
        }
        let charts = charts(&page);
        let rows = charts[0]["rows"].as_array().unwrap();
        assert_eq!(rows.len(), 3);
        for row in rows {
            assert!(row["median"].as_f64() > Some(0.0), "{row}");
        }
    }
}
