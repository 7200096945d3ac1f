//! Where runs were made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A machine and a build.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// What runs refer to it by.
    pub id: String,
    /// Model name of the processor.
    pub cpu: Option<String>,
    /// Cores that this process may use.
    pub cores: u64,
    /// Memory of the machine.
    pub memory_bytes: Option<u64>,
    /// Kernel release.
    pub kernel: Option<String>,
    /// Compiler that built the measured program.
    pub rustc: Option<String>,
    /// Build profile.
    pub profile: String,
    /// Commit of the measured program, with `-dirty` if files were changed.
    pub commit: Option<String>,
    /// Seed of order and input.
    pub seed: u64,
    /// Versions of the crates that matter.
    pub versions: BTreeMap<String, String>,
    /// When measuring began, in seconds since 1970.
    #[serde(default)]
    pub started_unix_s: Option<u64>,
    /// The command line.
    #[serde(default)]
    pub command: Option<String>,
}
