//! The results of `lab zoo`, in their stored form.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::verdict::Verdict;
use crate::error::CommandError;
use crate::output::Output;
use crate::results::ReadError;

/// The value of [`ZooResults::schema`].
pub(crate) const SCHEMA: &str = "lab.zoo/1";

/// The whole table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ZooResults {
    pub(crate) schema: String,
    /// Worker threads, for runtimes with a configurable number.
    pub(crate) workers: usize,
    /// Whether the sizes were small.
    pub(crate) quick: bool,
    /// The columns.
    pub(crate) runtimes: Vec<Column>,
    /// The rows.
    pub(crate) pathologies: Vec<Row>,
    /// One for each failed cell, if timelines were requested.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) timelines: Vec<Timeline>,
}

/// The events of a failed cell, from another run that was traced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Timeline {
    pub(crate) pathology: String,
    pub(crate) runtime: String,
    /// The last events as a run of `lab.trace/1` in JSON, deflated, in base64; null if there are none.
    pub(crate) deflate_base64: Option<String>,
    /// The result of the traced run, or why there is no timeline.
    pub(crate) note: String,
}

/// One runtime.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// The version, for an installed runtime in another language.
    pub(crate) version: Option<String>,
    /// Whether it is one of this project's.
    pub(crate) ours: bool,
}

/// One pathology.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) measured: String,
    /// The paragraph about it.
    pub(crate) about: String,
    /// The bound in words.
    pub(crate) bound: String,
    pub(crate) unit: String,
    pub(crate) size: u64,
    pub(crate) issue: String,
    /// The verdicts by runtime name.
    pub(crate) cells: BTreeMap<String, Verdict>,
}

impl ZooResults {
    /// Reads a stored table.
    ///
    /// # Errors
    /// One line: what is wrong with the file, and what to do.
    pub(crate) fn read(path: &Path) -> Result<Self, ReadError> {
        let failed = |what: String| ReadError::new(path, what);
        let text = fs::read_to_string(path)
            .map_err(|error| failed(format!("cannot be read ({error}); name another file")))?;
        let results: Self = serde_json::from_str(&text).map_err(|error| {
            failed(format!(
                "does not follow `{SCHEMA}` ({error}); run `lab zoo --json` again"
            ))
        })?;
        if results.schema != SCHEMA {
            let found = results.schema.escape_debug();
            return Err(failed(format!(
                "has schema `{found}`, and this lab reads `{SCHEMA}`; use the lab that wrote it"
            )));
        }
        Ok(results)
    }

    /// How many pathologies a runtime survives, and how many it can run.
    pub(crate) fn survived(&self, runtime: &str) -> (usize, usize) {
        let cells = self
            .pathologies
            .iter()
            .filter_map(|row| row.cells.get(runtime));
        let mut counts = (0, 0);
        for cell in cells {
            counts.0 += usize::from(matches!(cell, Verdict::Survives { .. }));
            counts.1 += usize::from(!matches!(cell, Verdict::CannotRun { .. }));
        }
        counts
    }
}

/// Writes to the requested output, if there is one.
pub(super) fn write(output: Option<Output>, contents: &[u8]) -> Result<(), CommandError> {
    let Some(output) = output else { return Ok(()) };
    let written = output.write(contents);
    written.map_err(|error| CommandError::Failed(format!("the table is not written ({error})")))
}
