//! Latency against load, and the highest load within a target.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Config, Verdict};

/// Latency of one arm at rising rates, from intended starts (open loop), and the closed loop for comparison.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadCurve {
    /// The workload's name.
    pub workload: String,
    /// Its parameters, without the rate.
    pub params: BTreeMap<String, u64>,
    /// The runtime's name.
    pub runtime: String,
    /// Its configuration.
    pub config: Config,
    /// The number of connections, each with at most one request in flight.
    pub connections: u64,
    /// The closed loop; null if it gave no figure.
    pub closed: Option<LoadPoint>,
    /// The open loop, in order of rising rates.
    pub points: Vec<LoadPoint>,
}

/// Medians over the processes at one rate. Times are in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadPoint {
    /// Requests due per second; null in the closed loop.
    pub offered_per_s: Option<f64>,
    /// Requests answered per second.
    pub answered_per_s: f64,
    /// The number of processes.
    pub processes: u32,
    /// Median latency.
    pub p50_ns: f64,
    /// 99th percentile of latency.
    pub p99_ns: f64,
    /// 99.9th percentile of latency.
    pub p999_ns: f64,
    /// The 99th percentile of each process, in the order of the runs.
    pub p99_each_ns: Vec<f64>,
    /// 99th percentile of the client's own lateness; null in the closed loop.
    pub client_late_p99_ns: Option<f64>,
    /// The server's CPU time per request.
    pub cpu_ns_per_op: Option<f64>,
    /// The number of requests in the system, by Little's law: answers per second times mean latency.
    pub in_flight: Option<f64>,
    /// Whether the server does not sustain this rate, so that requests pile up.
    pub saturated: bool,
    /// Why the latencies are misleading; null if they count. In the closed loop, they hide waiting.
    pub doubt: Option<String>,
}

/// The highest rate at which the 99th percentile of latency meets a target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    /// The workload's name.
    pub workload: String,
    /// Its parameters, without the rate.
    pub params: BTreeMap<String, u64>,
    /// The runtime's name.
    pub runtime: String,
    /// Its configuration.
    pub config: Config,
    /// The target.
    pub p99_target_ns: f64,
    /// Requests per second; null if no rate meets the target, or if the client is the limit.
    pub per_s: Option<f64>,
    /// Contains the rate with a probability of 95%, given all probes.
    pub ci95: Option<[f64; 2]>,
    /// This rate / the highest rate of any arm; null for that arm.
    pub ratio: Option<f64>,
    /// Interval of the ratio, at 95% for all arms together.
    pub ratio_ci95: Option<[f64; 2]>,
    /// `worse` means a lower rate; null for the arm with the highest rate, and if there is no rate.
    pub verdict: Option<Verdict>,
    /// The result of each complete search, if there were several.
    pub repeats: Vec<f64>,
    /// The server's CPU time per request, near that rate.
    pub cpu_ns_per_op: Option<f64>,
    /// Peak resident memory, near that rate.
    pub peak_rss_bytes: Option<f64>,
    /// The probes, in order.
    pub probes: Vec<CapacityProbe>,
    /// Why there is no rate, or why it may be higher.
    pub limit: Option<String>,
}

/// One process at one rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CapacityProbe {
    /// Requests due per second.
    pub offered_per_s: f64,
    /// Requests answered per second.
    pub answered_per_s: f64,
    /// 99th percentile of latency, from intended starts.
    pub p99_ns: f64,
    /// 99th percentile of the client's own lateness.
    pub client_late_p99_ns: Option<f64>,
    /// Whether the target was met; null if it was missed and does not count because the client was late.
    pub kept: Option<bool>,
}
