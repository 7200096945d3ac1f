//! What `lab zoo` found, as it is stored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::verdict::Verdict;

/// The value of [`ZooResults::schema`].
pub(crate) const SCHEMA: &str = "lab.zoo/1";

/// The whole table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ZooResults {
    pub(crate) schema: String,
    /// Worker threads of the runtimes that have a number of them.
    pub(crate) workers: usize,
    /// Small sizes.
    pub(crate) quick: bool,
    /// The columns.
    pub(crate) runtimes: Vec<Column>,
    /// The rows.
    pub(crate) pathologies: Vec<Row>,
}

/// One runtime.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// Of a foreign runtime that is there.
    pub(crate) version: Option<String>,
    /// Of this project.
    pub(crate) ours: bool,
}

/// One pathology.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) measured: String,
    /// A paragraph.
    pub(crate) about: String,
    /// In words.
    pub(crate) bound: String,
    pub(crate) unit: String,
    pub(crate) size: u64,
    pub(crate) issue: String,
    /// By the runtime's name.
    pub(crate) cells: BTreeMap<String, Verdict>,
}

impl ZooResults {
    /// How many pathologies a runtime survives, of how many that it can run.
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
