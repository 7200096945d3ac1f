//! Reads results as a program in another language would: according to their published schema.
//!
//! `cargo run -p docs --example check_results -- lab-out/results.json` prints the number of runs. It exits with code 1
//! if the file does not follow `lab.results/1`, or if a run in it is not ok.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::{env, fs};

use serde_json::Value;

#[path = "../../bench-suite/tests/schema/mod.rs"]
mod schema;

const SCHEMA: &str = include_str!("../../bench-suite/schema/lab.results-1.schema.json");

fn main() -> ExitCode {
    let Some(path) = env::args().nth(1) else {
        eprintln!("check_results: name the results to check, such as lab-out/results.json");
        return ExitCode::from(2);
    };
    match check(&path) {
        Ok(said) => {
            println!("{path}: {said}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("check_results: {path}: {why}");
            ExitCode::FAILURE
        }
    }
}

fn check(path: &str) -> Result<String, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let results: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let schema: Value = serde_json::from_str(SCHEMA).expect("the published schema is JSON");
    if let Some(error) = schema::errors(&schema, &results).first() {
        return Err(format!("does not follow the schema: {error}"));
    }
    let runs = results["runs"].as_array().map_or(&[][..], Vec::as_slice);
    let mut statuses: BTreeMap<&str, usize> = BTreeMap::new();
    for run in runs {
        *statuses
            .entry(run["status"].as_str().unwrap_or("none"))
            .or_default() += 1;
    }
    let comparisons = results["comparisons"].as_array().map_or(0, Vec::len);
    let said = format!(
        "{} runs {statuses:?}, {comparisons} comparisons",
        runs.len()
    );
    if runs.is_empty() || statuses.keys().any(|status| *status != "ok") {
        return Err(said);
    }
    Ok(said)
}
