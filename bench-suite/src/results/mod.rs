//! Stored results, schema `lab.results/1`: what every other tool relies on.
//!
//! Units are in the field names; what is unknown is `null`, never 0. Fields are added freely, so a reader ignores
//! those that it does not know, but it is strict about those that it does: a file that is cut short or of another
//! schema is refused with one line that says so. `schema/lab.results-1.schema.json` says the same for programs in
//! other languages.

mod advice;
mod certificate;
mod checks;
mod comparison;
mod conditions;
mod count;
pub(crate) mod csv;
mod environment;
mod family;
mod file;
mod load_curve;
mod run;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use crate::output::{folder_of, write_whole};
pub use advice::Advice;
pub use certificate::{CERTIFICATE_SCHEMA, Certificate, Goal, Power, Real, Share, Simulated};
pub use comparison::{Comparison, Remark, Verdict};
pub use conditions::Conditions;
pub use count::Count;
pub use environment::Environment;
pub use family::{ArmName, Family, LookAt};
pub use file::ReadError;
pub use load_curve::{Capacity, CapacityProbe, LoadCurve, LoadPoint};
pub use run::{Config, LateNs, LatencyNs, Role, Run, Sample, Status};

/// The value of the field `schema`.
pub const SCHEMA: &str = "lab.results/1";

/// A whole file of results.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// [`SCHEMA`].
    pub schema: String,
    /// Where the runs were made; more than one if files were joined.
    pub environments: Vec<Environment>,
    /// One per measured process.
    pub runs: Vec<Run>,
    /// Ratios and verdicts, computed from the runs.
    pub comparisons: Vec<Comparison>,
    /// What was asked of each workload, so that the comparisons can be computed again.
    #[serde(default)]
    pub families: Vec<Family>,
    /// System calls, wake-ups and instructions, as far as they were asked for and could be counted.
    #[serde(default)]
    pub counts: Vec<Count>,
    /// How the intervals were computed, by name.
    #[serde(default)]
    pub method: Option<String>,
    /// Arms whose rounds are not all alike.
    #[serde(default)]
    pub remarks: Vec<Remark>,
    /// Things that a reader must know, such as rounds dropped for lack of time.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What the workloads are, so that a report needs no registry.
    #[serde(default)]
    pub workloads: Vec<WorkloadInfo>,
    /// Pairs that were asked for and do not exist.
    #[serde(default)]
    pub absent: Vec<Absent>,
    /// The policy that a runtime has if none is asked for, of those that have a choice.
    #[serde(default)]
    pub default_policies: BTreeMap<String, String>,
    /// How often the lab itself errs, as it measured with `lab prove`: here, or where this build was made.
    #[serde(default)]
    pub certificate: Option<Certificate>,
    /// What was varied, if that was the question: `lab sweep`.
    #[serde(default)]
    pub sweep: Option<Sweep>,
    /// Latency against load, if that was the question: `lab latency`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub curves: Vec<LoadCurve>,
    /// The rates that keep a target, if that was the question: `lab capacity`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capacities: Vec<Capacity>,
    /// Which model to take, if that was the question: `lab advise`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<Advice>,
}

/// What `lab sweep` varied. Every combination was measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sweep {
    /// In the order in which they are shown.
    pub dimensions: Vec<Dimension>,
}

/// One decision and the values that it was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dimension {
    /// `runtime`, `policy`, `workers`, or a knob's name.
    pub name: String,
    /// The values, in the order in which they were asked for.
    pub values: Vec<String>,
}

/// A workload that a runtime does not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absent {
    /// The workload's name.
    pub workload: String,
    /// The runtime's name.
    pub runtime: String,
    /// Why, in a few words.
    pub reason: String,
}

/// A workload, as the registry described it when it was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkloadInfo {
    /// Its name.
    pub name: String,
    /// Heading under which it stands, such as `IO-bound`.
    pub group: String,
    /// What it stresses.
    pub about: String,
    /// What one op is.
    pub op: String,
    /// The figure that verdicts are about.
    pub metric: String,
}
