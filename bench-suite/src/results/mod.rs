//! Stored results, schema `lab.results/1`: the format that every other tool relies on.
//!
//! Units are in the field names. Unknown values are `null`, never 0. New fields may appear at any time, so a reader
//! ignores fields that it does not know. It is strict about the others: it rejects a truncated file or one of another
//! schema with a one-line error. `schema/lab.results-1.schema.json` describes the format for programs in other
//! languages.

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
mod traced_run;

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
pub use traced_run::TracedRun;

/// The value of the field `schema`.
pub const SCHEMA: &str = "lab.results/1";

/// A complete file of results.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// [`SCHEMA`].
    pub schema: String,
    /// The environments of the runs; several if files were joined.
    pub environments: Vec<Environment>,
    /// One per measured process.
    pub runs: Vec<Run>,
    /// Ratios and verdicts, computed from the runs.
    pub comparisons: Vec<Comparison>,
    /// The question for each workload, for recomputing the comparisons.
    #[serde(default)]
    pub families: Vec<Family>,
    /// System calls, wake-ups and instructions, if they were requested and could be counted.
    #[serde(default)]
    pub counts: Vec<Count>,
    /// Where the arms' time went, and the start of their timelines, each from a separate traced run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traced: Vec<TracedRun>,
    /// The method of the intervals, by name.
    #[serde(default)]
    pub method: Option<String>,
    /// Arms with uneven rounds.
    #[serde(default)]
    pub remarks: Vec<Remark>,
    /// Notes for the reader, such as rounds that were dropped for lack of time.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Descriptions of the workloads, so that a report needs no registry.
    #[serde(default)]
    pub workloads: Vec<WorkloadInfo>,
    /// Requested pairs that do not exist.
    #[serde(default)]
    pub absent: Vec<Absent>,
    /// The default policy of each runtime that has policies.
    #[serde(default)]
    pub default_policies: BTreeMap<String, String>,
    /// The lab's own error rates, measured with `lab prove`: on this machine, or where this build was made.
    #[serde(default)]
    pub certificate: Option<Certificate>,
    /// The dimensions of `lab sweep`.
    #[serde(default)]
    pub sweep: Option<Sweep>,
    /// Latency against load, from `lab latency`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub curves: Vec<LoadCurve>,
    /// The rates that meet a target, from `lab capacity`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capacities: Vec<Capacity>,
    /// The recommended model, from `lab advise`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<Advice>,
}

/// The dimensions of `lab sweep`. Every combination was measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sweep {
    /// In display order.
    pub dimensions: Vec<Dimension>,
}

/// One decision and its values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dimension {
    /// `runtime`, `policy`, `workers`, or a knob's name.
    pub name: String,
    /// The values, in the order in which they were requested.
    pub values: Vec<String>,
}

/// A workload that a runtime does not support.
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
    /// The heading for it, such as `IO-bound`.
    pub group: String,
    /// What it stresses.
    pub about: String,
    /// What one op is.
    pub op: String,
    /// The figure that verdicts are about.
    pub metric: String,
}
