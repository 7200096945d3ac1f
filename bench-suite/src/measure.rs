//! Measuring inside the measured process: CPU and counters are differences between marks, so that start-up is not counted.

use std::collections::BTreeMap;
use std::time::Instant;

/// What was done between two marks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Operations done.
    pub ops: u64,
    /// Time from mark to mark.
    pub wall_ns: u64,
    /// CPU time of all threads of this process, user and system.
    pub cpu_ns: u64,
    /// Context switches because a thread waited.
    pub voluntary_switches: u64,
    /// Context switches because a thread's time was up.
    pub involuntary_switches: u64,
    /// Page faults, minor and major.
    pub page_faults: u64,
}

/// Percentiles of a workload's latencies, and their whole histogram for later merging.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// Median.
    pub p50_ns: u64,
    /// 90th percentile.
    pub p90_ns: u64,
    /// 99th percentile.
    pub p99_ns: u64,
    /// 99.9th percentile.
    pub p999_ns: u64,
    /// The largest.
    pub max_ns: u64,
    /// The histogram in HdrHistogram's V2 format, base64.
    pub histogram_hdr_base64: Option<String>,
}

/// Collects what one run of one workload measured.
#[derive(Debug, Default)]
pub struct Meter {
    /// One entry per timed repetition.
    pub samples: Vec<Sample>,
    /// Latencies, if the workload has any.
    pub latency: Option<Latency>,
    /// CPU time of the load generator, if it is another process.
    pub client_cpu_ns: Option<u64>,
    /// How late the load generator itself was: median and 99th percentile.
    pub client_late_ns: Option<(u64, u64)>,
    /// Peak resident memory as read at [`Meter::stop`]; null if unknown.
    pub peak_rss_bytes: Option<u64>,
    /// Flags of the results schema, such as `shares_cores`.
    pub flags: Vec<&'static str>,
    /// Workload-specific figures, such as `bytes_per_task`.
    pub extra: BTreeMap<&'static str, f64>,
    mark: Option<Mark>,
}

/// The process's counters at one instant.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Instant,
    cpu_ns: u64,
    voluntary_switches: u64,
    involuntary_switches: u64,
    page_faults: u64,
}

impl Meter {
    /// Begins a timed repetition.
    pub fn start(&mut self) {
        self.mark = Some(Mark::now());
    }

    /// Ends the timed repetition that [`start`](Meter::start) began, in which `ops` operations were done.
    ///
    /// # Panics
    /// Without a `start` before it.
    pub fn stop(&mut self, ops: u64) {
        let end = Mark::now();
        let start = self.mark.take().expect("`stop` follows `start`");
        self.samples.push(Sample {
            ops,
            wall_ns: u64::try_from((end.at - start.at).as_nanos()).unwrap_or(u64::MAX),
            cpu_ns: end.cpu_ns.saturating_sub(start.cpu_ns),
            voluntary_switches: end.voluntary_switches - start.voluntary_switches,
            involuntary_switches: end.involuntary_switches - start.involuntary_switches,
            page_faults: end.page_faults - start.page_faults,
        });
    }
}
