//! The machine and the build of runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Conditions;

/// A machine and a build.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// The name by which runs refer to it.
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
    /// Build profile, by its name.
    pub profile: String,
    /// The known settings of the profile, by their names in `Cargo.toml`.
    #[serde(default)]
    pub profile_settings: BTreeMap<String, String>,
    /// Name and version of the measured program; null if unknown.
    #[serde(default)]
    pub program: Option<String>,
    /// Commit of the measured program, with `-dirty` if files were changed; null if unknown.
    pub commit: Option<String>,
    /// Version and commit of the measuring library.
    #[serde(default)]
    pub lab: Option<String>,
    /// Seed of the order and of the input.
    pub seed: u64,
    /// Versions of the relevant crates in the measured program; empty if unknown.
    pub versions: BTreeMap<String, String>,
    /// When the measurement began, in seconds since 1970.
    #[serde(default)]
    pub started_unix_s: Option<u64>,
    /// The command line.
    #[serde(default)]
    pub command: Option<String>,
    /// The shard that was measured there, such as `2/4`; null if everything was.
    #[serde(default)]
    pub shard: Option<String>,
    /// The state of the machine.
    #[serde(default)]
    pub conditions: Option<Conditions>,
}
