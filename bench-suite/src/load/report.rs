//! The measurements of a load.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::generator::Observed;
use super::options::LoadOptions;
use crate::measure::Latency;

/// The schema of [`LoadReport`] as JSON.
pub const SCHEMA: &str = "lab.load/1";

/// What the generator measured. Times are in nanoseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoadReport {
    /// [`SCHEMA`].
    pub schema: String,
    /// The settings.
    pub options: LoadOptions,
    /// The number of responses, all of which were checked.
    pub requests: u64,
    /// Open loop: requests that were due and never got a connection.
    pub unstarted: u64,
    /// Requests in flight when the run was interrupted.
    #[serde(default)]
    pub unanswered: u64,
    /// Whether the run was interrupted, and so is shorter than requested.
    #[serde(default)]
    pub interrupted: bool,
    /// From the start of the first request to the last response. In the open loop, at least the requested duration,
    /// unless the run was interrupted.
    pub wall_ns: u64,
    /// The generator's own CPU time.
    pub client_cpu_ns: u64,
    /// From the start (closed loop) or the intended start (open loop) of a request to its complete response.
    pub latency_ns: Percentiles,
    /// Open loop: how late the generator itself sent requests that were due and had a free connection.
    pub client_late_ns: Option<Percentiles>,
    /// The latencies as a compressed HdrHistogram V2, base64.
    pub histogram_hdr_base64: Option<String>,
}

/// Percentiles of durations in nanoseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Percentiles {
    /// Median.
    pub p50: u64,
    /// 90th percentile.
    pub p90: u64,
    /// 99th percentile.
    pub p99: u64,
    /// 99.9th percentile.
    pub p999: u64,
    /// The largest.
    pub max: u64,
}

impl From<&Latency> for Percentiles {
    fn from(latency: &Latency) -> Self {
        Self {
            p50: latency.p50_ns,
            p90: latency.p90_ns,
            p99: latency.p99_ns,
            p999: latency.p999_ns,
            max: latency.max_ns,
        }
    }
}

impl LoadReport {
    pub(super) fn new(options: &LoadOptions, observed: &Observed) -> Self {
        let latency = Latency::from(&observed.latency);
        Self {
            schema: SCHEMA.to_owned(),
            options: options.clone(),
            requests: observed.requests,
            unstarted: observed.unstarted,
            unanswered: observed.unanswered,
            interrupted: observed.stopped,
            wall_ns: nanoseconds(observed.wall),
            client_cpu_ns: nanoseconds(observed.cpu),
            latency_ns: Percentiles::from(&latency),
            client_late_ns: observed
                .lateness
                .as_ref()
                .map(|lateness| Percentiles::from(&Latency::from(lateness))),
            histogram_hdr_base64: latency.histogram_hdr_base64,
        }
    }

    /// Whether the generator's one thread was busy nearly all the time. The server could perhaps do more then.
    pub fn client_bound(&self) -> bool {
        self.client_cpu_ns as f64 >= 0.9 * self.wall_ns as f64
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
