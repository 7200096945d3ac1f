//! Latency against load, and the load that a server carries within a target.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Config, Verdict};

/// Latency of one arm at rising rates, from intended starts (open loop), with the closed loop beside it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadCurve {
    /// The workload's name.
    pub workload: String,
    /// Its parameters, but for the rate.
    pub params: BTreeMap<String, u64>,
    /// The runtime's name.
    pub runtime: String,
    /// Its configuration.
    pub config: Config,
    /// Connections, each with one request in flight at most.
    pub connections: u64,
    /// The closed loop; null if it gave no figure.
    pub closed: Option<LoadPoint>,
    /// The open loop, by rising rates.
    pub points: Vec<LoadPoint>,
}

/// Medians over the processes at one rate. Times are in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadPoint {
    /// Requests a second that were due; null in the closed loop.
    pub offered_per_s: Option<f64>,
    /// Requests a second that were answered.
    pub answered_per_s: f64,
    /// Processes.
    pub processes: u32,
    /// Median latency.
    pub p50_ns: f64,
    /// 99th percentile of latency.
    pub p99_ns: f64,
    /// 99.9th percentile of latency.
    pub p999_ns: f64,
    /// The 99th percentile of each process, in the order in which they ran.
    pub p99_each_ns: Vec<f64>,
    /// 99th percentile of the client's own lateness; null in the closed loop.
    pub client_late_p99_ns: Option<f64>,
    /// CPU time of the server for a request.
    pub cpu_ns_per_op: Option<f64>,
    /// Requests that are in the system at once, by Little's law: answers a second times mean latency.
    pub in_flight: Option<f64>,
    /// The server does not carry this rate: what is due piles up.
    pub saturated: bool,
    /// Why the latencies say less than they seem to; null if they count. In the closed loop: it hides waiting.
    pub doubt: Option<String>,
}

/// The highest rate at which the 99th percentile of latency keeps a target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    /// The workload's name.
    pub workload: String,
    /// Its parameters, but for the rate.
    pub params: BTreeMap<String, u64>,
    /// The runtime's name.
    pub runtime: String,
    /// Its configuration.
    pub config: Config,
    /// The target.
    pub p99_target_ns: f64,
    /// Requests a second; null if no rate keeps the target, or if the client is in the way.
    pub per_s: Option<f64>,
    /// Where the rate lies with a probability of 95%, by what was seen in all probes.
    pub ci95: Option<[f64; 2]>,
    /// This rate / that of the arm that carries most; null for that one.
    pub ratio: Option<f64>,
    /// Interval of the ratio, at 95% for all arms together.
    pub ratio_ci95: Option<[f64; 2]>,
    /// `worse` carries less; null for the arm that carries most, and where there is no rate.
    pub verdict: Option<Verdict>,
    /// What each whole search came to, if there were several.
    pub repeats: Vec<f64>,
    /// CPU time of the server for a request, near that rate.
    pub cpu_ns_per_op: Option<f64>,
    /// Peak resident memory, near that rate.
    pub peak_rss_bytes: Option<f64>,
    /// What was asked, in this order.
    pub probes: Vec<CapacityProbe>,
    /// Why there is no rate, or why it may be higher.
    pub limit: Option<String>,
}

/// One process at one rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CapacityProbe {
    /// Requests a second that were due.
    pub offered_per_s: f64,
    /// Requests a second that were answered.
    pub answered_per_s: f64,
    /// 99th percentile of latency, from intended starts.
    pub p99_ns: f64,
    /// 99th percentile of the client's own lateness.
    pub client_late_p99_ns: Option<f64>,
    /// Whether the target was kept; null if it was missed and the client was too late for that to count.
    pub kept: Option<bool>,
}
