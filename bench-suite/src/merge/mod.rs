//! `lab merge`: joins results of several processes or machines, and recomputes the comparisons from their rounds.

pub(crate) mod again;
mod join;
pub(crate) mod shard;
mod unlike;

use std::path::Path;

pub use unlike::Difference;

use crate::cli::MergeArgs;
use crate::compare::outputs::Formats;
use crate::error::CommandError;
use crate::output::Output;
use crate::results::Results;
use crate::{table, terminal};

/// Joins the given files.
///
/// # Errors
/// [`CommandError::Usage`] for a file that can't be read or joined, [`CommandError::Failed`] for one that can't be
/// written.
pub(crate) fn run(arguments: &MergeArgs) -> Result<(), CommandError> {
    let output = Output::prepare(&arguments.json, "--json")?;
    let formats = Formats::prepare(&arguments.formats)?;
    let mut parts: Vec<(&Path, Results)> = Vec::new();
    for path in &arguments.files {
        let part = Results::read(path).map_err(|error| CommandError::Usage(error.to_string()))?;
        parts.push((path, part));
    }
    let mut whole = join::join(parts, &arguments.unlike).map_err(CommandError::Usage)?;
    if arguments.rounds_only {
        join::leave_rounds(&mut whole);
    }
    let written = whole.write_to(&output).map_err(|error| {
        CommandError::Failed(format!(
            "cannot write {}: {error}; nothing is lost, name another file",
            arguments.json.display()
        ))
    });
    let mut said = format!("results: {}\n", arguments.json.display());
    let others = formats.write(&whole, &mut said);
    written?;
    if let Some(error) = others {
        return Err(error);
    }
    if output == Output::Standard || formats.take_standard_output() {
        return Ok(());
    }
    let tables = table::render(&whole, terminal::width());
    let answer = table::answer(&whole, terminal::width());
    terminal::print(&format!("{tables}{said}{answer}"))
}
