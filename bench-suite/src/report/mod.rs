//! The report: one HTML file that works offline, made from stored results.
//!
//! The file contains everything: style, scripts and the charting library (Observable Plot and d3, ISC, `assets/`). The
//! page's content security policy forbids loading anything. All text from results is escaped. The charts' data is JSON
//! inside an inert script element. Charts are SVG, each with a description in words. Every figure of a chart is also in
//! a table, so you can read the page without scripts, print it, or have it read aloud.

mod answer;
pub(crate) mod charts;
pub(crate) mod colours;
mod counts;
pub(crate) mod html;
mod latency;
pub(crate) mod page;
mod runs;
mod sections;
mod sweep;
mod time_split;
pub(crate) mod timeline;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::cli::ReportArgs;
use crate::error::CommandError;
use crate::output::ensure_folder;
use crate::results::{self, ReadError, Results};
use crate::terminal;
use crate::timeline as timeline_page;
use crate::trace::Trace;
use crate::zoo::page as zoo_page;
use crate::zoo::results::ZooResults;

/// `lab report`: creates the report from stored results, the page of timelines from a stored trace, or the zoo's page
/// from its stored table.
///
/// # Errors
/// [`CommandError::Usage`] if the file can't be read or the folder can't be written to.
pub fn run(arguments: &ReportArgs) -> Result<(), CommandError> {
    let usage = |error: ReadError| CommandError::Usage(error.to_string());
    let schema = schema_of(&arguments.results);
    let (name, path, page) = if schema.starts_with("lab.zoo/") {
        let results = ZooResults::read(&arguments.results).map_err(usage)?;
        let path = arguments.out.join("zoo.html");
        ("zoo", path, zoo_page::render(&results))
    } else if schema.starts_with("lab.trace/") {
        let trace = Trace::read(&arguments.results).map_err(usage)?;
        let path = arguments.out.join("timeline.html");
        ("timeline", path, timeline_page::page(&trace))
    } else {
        let results = Results::read(&arguments.results).map_err(usage)?;
        ("report", file_in(&arguments.out), page::render(&results))
    };
    ensure_folder(&arguments.out, "--out")?;
    results::write_whole(&path, page.as_bytes()).map_err(|error| {
        CommandError::Failed(format!(
            "cannot write {}: {error}; name another folder",
            path.display()
        ))
    })?;
    terminal::print(&format!("{name}: {}\n", path.display()))
}

/// The schema that a file names. If it is unknown, the file is read as results, which reports what is wrong.
fn schema_of(path: &Path) -> String {
    #[derive(serde::Deserialize)]
    struct Schema {
        schema: String,
    }
    let text = fs::read_to_string(path).unwrap_or_default();
    serde_json::from_str::<Schema>(&text).map_or_else(|_| String::new(), |of| of.schema)
}

/// The path of the report in a folder.
pub fn file_in(folder: &Path) -> PathBuf {
    folder.join("report.html")
}

/// Writes the report, as a whole or not at all.
///
/// # Errors
/// Errors of creating, writing and renaming.
pub fn write(results: &Results, path: &Path) -> io::Result<()> {
    results::write_whole(path, page::render(results).as_bytes())
}
