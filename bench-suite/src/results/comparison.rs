//! Ratios and verdicts.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Config, Role};

/// The result of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Less of the metric than the baseline.
    #[serde(rename = "better")]
    Better,
    /// More of the metric than the baseline.
    #[serde(rename = "worse")]
    Worse,
    /// No difference beyond the margin: the whole interval is within the margin.
    #[serde(rename = "no difference")]
    NoDifference,
    /// The interval contains 1 and extends beyond the margin, or the difference is within the noise floor.
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

impl Verdict {
    /// The verdict with the sides of the ratio exchanged.
    pub fn reversed(self) -> Self {
        match self {
            Self::Better => Self::Worse,
            Self::Worse => Self::Better,
            other => other,
        }
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
    /// The number of processes of each arm behind the ratio.
    #[serde(default)]
    pub processes: u32,
    /// runtime / baseline; null on failure.
    pub ratio: Option<f64>,
    /// The interval of the ratio, at 95% or more; null with fewer than two processes.
    pub ci95: Option<[f64; 2]>,
    /// The probability that the interval misses the truth: 0.05, or less where several comparisons or looks share it.
    #[serde(default)]
    pub level: Option<f64>,
    /// `signed-rank`, or `student-t` with too few processes for a verdict.
    #[serde(default)]
    pub interval_method: Option<String>,
    /// Two-sided p value for no difference, uncorrected.
    #[serde(default)]
    pub p_value: Option<f64>,
    /// The margin of `no difference`, as ratio - 1; null if no verdict was sought.
    #[serde(default)]
    pub margin: Option<f64>,
    /// About how many more rounds a verdict would take; null if there is a verdict, or if it would take too many.
    #[serde(default)]
    pub more_rounds: Option<u32>,
    /// |ratio - 1| of the baseline against itself.
    pub noise_floor: Option<f64>,
    /// The verdict; null if there may be none, and then `withheld` says why.
    pub verdict: Option<Verdict>,
    /// Why there is no verdict: a flag of the runs, or `a/a`.
    #[serde(default)]
    pub withheld: Option<String>,
}

/// What the median of an arm's rounds hides: outliers, two modes, drift.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Remark {
    /// The workload's name.
    pub workload: String,
    /// The workload's parameters.
    pub params: BTreeMap<String, u64>,
    /// The metric in which the rounds were examined.
    pub metric: String,
    /// The runtime's name.
    pub runtime: String,
    /// `a/a` for the repeated arm.
    #[serde(default)]
    pub role: Role,
    /// The requested configuration of the runtime.
    pub config: Config,
    /// The remark, in one line.
    pub remark: String,
}
