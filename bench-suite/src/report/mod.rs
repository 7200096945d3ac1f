//! The report: one HTML file that works offline, made from stored results.
//!
//! Everything stands in the file itself: style, script and the charting library (Chart.js, MIT, `assets/`). The page's
//! own content policy forbids loading anything. All text from results is escaped; the charts' data is JSON inside an
//! inert script element. Every figure of a chart stands in a table too, so that the page can be read without scripts,
//! printed, and read aloud.

mod answer;
mod charts;
mod html;
mod latency;
mod page;
mod sections;
mod sweep;

use std::io;
use std::path::{Path, PathBuf};

use crate::cli::ReportArgs;
use crate::error::CommandError;
use crate::output::ensure_folder;
use crate::results::{self, Results};
use crate::terminal;

/// `lab report`: makes the report again, from stored results.
///
/// # Errors
/// [`CommandError::Usage`] if the results can't be read or the folder takes no files.
pub fn run(arguments: &ReportArgs) -> Result<(), CommandError> {
    let results = Results::read(&arguments.results)
        .map_err(|error| CommandError::Usage(error.to_string()))?;
    ensure_folder(&arguments.out, "--out")?;
    let path = file_in(&arguments.out);
    write(&results, &path).map_err(|error| {
        CommandError::Failed(format!(
            "cannot write {}: {error}; name another folder",
            path.display()
        ))
    })?;
    terminal::print(&format!("report: {}\n", path.display()))
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
