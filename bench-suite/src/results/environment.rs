//! Where runs were made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Conditions;

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
    /// Build profile, by its name.
    pub profile: String,
    /// What is known of the profile's settings, by their names in `Cargo.toml`.
    #[serde(default)]
    pub profile_settings: BTreeMap<String, String>,
    /// Name and version of the measured program; null if it does not say.
    #[serde(default)]
    pub program: Option<String>,
    /// Commit of the measured program, with `-dirty` if files were changed; null if it does not say.
    pub commit: Option<String>,
    /// Version and commit of the library that measured.
    #[serde(default)]
    pub lab: Option<String>,
    /// Seed of order and input.
    pub seed: u64,
    /// Versions of the crates that matter in the measured program; empty if it does not say.
    pub versions: BTreeMap<String, String>,
    /// When measuring began, in seconds since 1970.
    #[serde(default)]
    pub started_unix_s: Option<u64>,
    /// The command line.
    #[serde(default)]
    pub command: Option<String>,
    /// Which part of the comparison was measured there, such as `2/4`; null if all of it.
    #[serde(default)]
    pub shard: Option<String>,
    /// How the machine was.
    #[serde(default)]
    pub conditions: Option<Conditions>,
}
