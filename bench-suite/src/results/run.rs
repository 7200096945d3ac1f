//! One measured process.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::measure;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It was measured, and its answer was correct.
    Ok,
    /// Its check of its own answer failed.
    WrongAnswer,
    /// The process ended without an answer.
    Crashed,
    /// The process was killed because it took too long.
    TimedOut,
    /// The system refused a resource that the size needs.
    Refused,
    /// Something that it needs is not installed.
    NotInstalled,
}

impl Status {
    /// The status in plain words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::WrongAnswer => "wrong answer",
            Self::Crashed => "crashed",
            Self::TimedOut => "timed out",
            Self::Refused => "refused",
            Self::NotInstalled => "not installed",
        }
    }
}

/// What distinguishes two arms of one runtime.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Config {
    /// Worker threads; null if each task has its own thread.
    pub workers: Option<u64>,
    /// The requested number of worker threads; null if the results don't say.
    #[serde(default)]
    pub workers_asked: Option<u64>,
    /// Scheduling policy; null if the runtime has none.
    pub policy: Option<String>,
    /// The requested knobs of the policy.
    #[serde(default)]
    pub knobs: BTreeMap<String, String>,
    /// The name of the other build in which it was measured; null for the measuring build.
    #[serde(default)]
    pub binary: Option<String>,
    /// Parts of the runtime that were left out.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub without: BTreeSet<String>,
    /// Readiness backend.
    pub reactor: Option<String>,
    /// Memory allocator.
    pub allocator: Option<String>,
}

/// Why an arm was measured.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Role {
    /// For comparison with the others.
    #[default]
    #[serde(rename = "arm")]
    Arm,
    /// The baseline again. How it differs from itself is noise.
    #[serde(rename = "a/a")]
    Repeat,
}

/// Work and time of one timed repetition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Number of operations.
    pub ops: u64,
    /// Elapsed time.
    pub wall_ns: u64,
    /// CPU time of the runtime under test.
    pub cpu_ns: u64,
}

/// Percentiles of latency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencyNs {
    /// Median.
    pub p50: u64,
    /// 90th percentile.
    pub p90: u64,
    /// 99th percentile.
    pub p99: u64,
    /// 99.9th percentile.
    pub p999: u64,
    /// Largest.
    pub max: u64,
}

impl From<&measure::Latency> for LatencyNs {
    fn from(latency: &measure::Latency) -> Self {
        Self {
            p50: latency.p50_ns,
            p90: latency.p90_ns,
            p99: latency.p99_ns,
            p999: latency.p999_ns,
            max: latency.max_ns,
        }
    }
}

/// How late the load generator itself was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LateNs {
    /// Median.
    pub p50: u64,
    /// 99th percentile.
    pub p99: u64,
}

/// One measured process. Sums are over its samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Id of its environment.
    pub environment: String,
    /// The workload's name.
    pub workload: String,
    /// The workload's parameters.
    pub params: BTreeMap<String, u64>,
    /// `open`, `closed` or `batch`.
    pub mode: String,
    /// The runtime's name.
    pub runtime: String,
    /// Why it was measured.
    #[serde(default)]
    pub role: Role,
    /// The runtime's configuration.
    pub config: Config,
    /// The round, from 0.
    pub round: u32,
    /// How it ended.
    pub status: Status,
    /// What went wrong, if something did.
    pub error: Option<String>,
    /// `shares_cores`, `client_bound`.
    pub flags: Vec<String>,
    /// Number of operations.
    pub ops: Option<u64>,
    /// Elapsed time.
    pub wall_ns: Option<u64>,
    /// CPU time of the runtime under test only.
    pub cpu_ns: Option<u64>,
    /// The CPU time outside the kernel.
    #[serde(default)]
    pub cpu_user_ns: Option<u64>,
    /// The CPU time inside the kernel.
    #[serde(default)]
    pub cpu_system_ns: Option<u64>,
    /// CPU time of the load generator.
    pub client_cpu_ns: Option<u64>,
    /// Lateness of the load generator.
    pub client_late_ns: Option<LateNs>,
    /// Peak resident memory.
    pub peak_rss_bytes: Option<u64>,
    /// Context switches because a thread waited.
    pub voluntary_switches: Option<u64>,
    /// Context switches because a thread's time slice ended.
    pub involuntary_switches: Option<u64>,
    /// Page faults, minor and major.
    pub page_faults: Option<u64>,
    /// The timed repetitions.
    pub samples: Vec<Sample>,
    /// Latencies.
    pub latency_ns: Option<LatencyNs>,
    /// The latencies' histogram, HdrHistogram compressed V2.
    pub histogram_hdr_base64: Option<String>,
    /// Workload-specific figures.
    pub extra: BTreeMap<String, f64>,
}

impl Run {
    /// The run's value of `metric`, per op if the name says so; `None` if the run failed or did not measure it.
    pub fn value(&self, metric: &str) -> Option<f64> {
        if self.status != Status::Ok {
            return None;
        }
        let per_op = |total: Option<u64>| match (total, self.ops) {
            (Some(total), Some(ops)) if ops > 0 => Some(total as f64 / ops as f64),
            _ => None,
        };
        match metric {
            "wall_ns_per_op" => per_op(self.wall_ns),
            "cpu_ns_per_op" => per_op(self.cpu_ns),
            "cpu_user_ns_per_op" => per_op(self.cpu_user_ns),
            "cpu_system_ns_per_op" => per_op(self.cpu_system_ns),
            "switches_per_op" => per_op(
                self.voluntary_switches
                    .zip(self.involuntary_switches)
                    .map(|(voluntary, involuntary)| voluntary + involuntary),
            ),
            "page_faults_per_op" => per_op(self.page_faults),
            "peak_rss_bytes" => self.peak_rss_bytes.map(|bytes| bytes as f64),
            "latency_p50_ns" => self.latency_ns.map(|latency| latency.p50 as f64),
            "latency_p99_ns" => self.latency_ns.map(|latency| latency.p99 as f64),
            "client_late_p50_ns" => self.client_late_ns.map(|late| late.p50 as f64),
            "client_late_p99_ns" => self.client_late_ns.map(|late| late.p99 as f64),
            "latency_p999_ns" => self.latency_ns.map(|latency| latency.p999 as f64),
            // The scheduler's counters are stored as totals.
            other => self.extra.get(other).copied().or_else(|| {
                let total = self.extra.get(other.strip_suffix("_per_op")?)?;
                Some(total / self.ops.filter(|&ops| ops > 0)? as f64)
            }),
        }
    }
}
