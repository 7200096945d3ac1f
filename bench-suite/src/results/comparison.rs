//! Ratios and verdicts.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Config, Role};

/// What a comparison came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Less of the metric than the baseline.
    #[serde(rename = "better")]
    Better,
    /// More of the metric than the baseline.
    #[serde(rename = "worse")]
    Worse,
    /// The interval holds 1, or the difference is within the noise floor.
    #[serde(rename = "no difference")]
    NoDifference,
    /// Too few processes to tell.
    #[serde(rename = "not enough data")]
    NotEnoughData,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::NoDifference => "no difference",
            Self::NotEnoughData => "not enough data",
        })
    }
}

/// One runtime against the baseline, on one workload and metric. Less is better in every metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The workload's name.
    pub workload: String,
    /// The workload's parameters.
    pub params: BTreeMap<String, u64>,
    /// `open`, `closed` or `batch`.
    pub mode: String,
    /// What is compared, such as `cpu_ns_per_op`.
    pub metric: String,
    /// The runtime's name.
    pub runtime: String,
    /// `a/a` for the baseline against itself.
    #[serde(default)]
    pub role: Role,
    /// The runtime's configuration.
    pub config: Config,
    /// The baseline's name.
    pub baseline: String,
    /// The baseline's configuration.
    pub baseline_config: Config,
    /// Processes of each that the ratio is from.
    #[serde(default)]
    pub processes: u32,
    /// runtime / baseline; null on failure.
    pub ratio: Option<f64>,
    /// 95% interval of the ratio; null from fewer than two processes.
    pub ci95: Option<[f64; 2]>,
    /// |ratio - 1| of the baseline against itself.
    pub noise_floor: Option<f64>,
    /// The verdict; null where none may be given, and then `withheld` says why.
    pub verdict: Option<Verdict>,
    /// Why there is no verdict: a flag of the runs, or `a/a`.
    #[serde(default)]
    pub withheld: Option<String>,
}
