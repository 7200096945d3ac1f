//! The report: one HTML file that works offline, made from stored results.
//!
//! Everything stands in the file itself: style, script and the charting library (Observable Plot and d3, ISC,
//! `assets/`). The page's own content policy forbids loading anything. All text from results is escaped; the charts'
//! data is JSON inside an inert script element. Charts are SVG, each with a description in words. Every figure of a
//! chart stands in a table too, so that the page can be read without scripts, printed, and read aloud.

mod answer;
pub(crate) mod charts;
pub(crate) mod colours;
pub(crate) mod html;
mod latency;
pub(crate) mod page;
mod runs;
mod sections;
mod sweep;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::cli::ReportArgs;
use crate::error::CommandError;
use crate::output::ensure_folder;
use crate::results::{self, ReadError, Results};
use crate::terminal;
use crate::timeline;
use crate::trace::Trace;

/// `lab report`: makes the report again, from stored results; or the page of timelines, from a stored trace.
///
/// # Errors
/// [`CommandError::Usage`] if the file can't be read or the folder takes no files.
pub fn run(arguments: &ReportArgs) -> Result<(), CommandError> {
    let usage = |error: ReadError| CommandError::Usage(error.to_string());
    let (name, path, page) = if is_trace(&arguments.results) {
        let trace = Trace::read(&arguments.results).map_err(usage)?;
        let path = arguments.out.join("timeline.html");
        ("timeline", path, timeline::page(&trace))
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

/// Whether a file says that it is a trace. Whatever else it is, reading it as results tells what is wrong.
fn is_trace(path: &Path) -> bool {
    #[derive(serde::Deserialize)]
    struct Schema {
        schema: String,
    }
    let text = fs::read_to_string(path).unwrap_or_default();
    serde_json::from_str::<Schema>(&text).is_ok_and(|of| of.schema.starts_with("lab.trace/"))
}

/// Where the report of a folder stands.
pub fn file_in(folder: &Path) -> PathBuf {
    folder.join("report.html")
}

/// Writes the report, whole or not at all.
///
/// # Errors
/// Those of creating, writing and renaming.
pub fn write(results: &Results, path: &Path) -> io::Result<()> {
    results::write_whole(path, page::render(results).as_bytes())
}
