//! Measures inside the measured process. CPU time and counters are differences between two marks, so start-up is not
//! included.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::Serializer as _;
use runtime_core::trace::{Recorded, Recorder, Session};
use runtime_core::{LaunchConfig, Metrics};

use crate::costs::callgrind;
use crate::costs::events::Events;
use crate::scheduler_counts::SchedulerCounts;
use crate::usage;

/// What happened between two marks.
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
    /// Context switches because a thread's time slice ended.
    pub involuntary_switches: u64,
    /// Page faults, minor and major.
    pub page_faults: u64,
    /// The part of the CPU time outside the kernel.
    pub cpu_user_ns: u64,
    /// The part of the CPU time in the kernel.
    pub cpu_system_ns: u64,
}

impl Sample {
    /// A sample with the kernel's counters for its duration.
    pub(crate) fn counted(ops: u64, wall_ns: u64, cpu_ns: u64, counters: usage::Counters) -> Self {
        Self {
            ops,
            wall_ns,
            cpu_ns,
            voluntary_switches: counters.voluntary_switches,
            involuntary_switches: counters.involuntary_switches,
            page_faults: counters.page_faults,
            cpu_user_ns: counters.user_ns,
            cpu_system_ns: counters.system_ns,
        }
    }
}

/// Percentiles of a workload's latencies, and their whole histogram for later merging.
///
/// ```
/// use bench_suite::measure::Latency;
///
/// let mut histogram = Latency::histogram();
/// for nanoseconds in 1..=1000 {
///     histogram.saturating_record(nanoseconds);
/// }
/// let latency = Latency::from(&histogram);
/// assert_eq!(latency.p50_ns, 500);
/// assert_eq!(latency.max_ns, 1000);
/// ```
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
    /// The histogram in HdrHistogram's compressed V2 format, base64.
    pub histogram_hdr_base64: Option<String>,
}

impl Latency {
    /// An empty histogram of nanoseconds: from 1 ns to an hour, three significant digits. `saturating_record` counts
    /// larger values as an hour.
    pub fn histogram() -> Histogram<u64> {
        Histogram::new_with_bounds(1, 3_600_000_000_000, 3).expect("the bounds are in order")
    }
}

impl From<&Histogram<u64>> for Latency {
    fn from(histogram: &Histogram<u64>) -> Self {
        use base64::Engine as _;
        let mut bytes = Vec::new();
        let encoded = hdrhistogram::serialization::V2DeflateSerializer::new()
            .serialize(histogram, &mut bytes)
            .is_ok();
        Self {
            p50_ns: histogram.value_at_quantile(0.5),
            p90_ns: histogram.value_at_quantile(0.9),
            p99_ns: histogram.value_at_quantile(0.99),
            p999_ns: histogram.value_at_quantile(0.999),
            max_ns: histogram.max(),
            histogram_hdr_base64: encoded
                .then(|| base64::engine::general_purpose::STANDARD.encode(&bytes)),
        }
    }
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
    /// Peak resident memory as read at [`Meter::stop`]; `None` if unknown.
    pub peak_rss_bytes: Option<u64>,
    /// Flags of the results schema, such as `shares_cores`.
    pub flags: Vec<&'static str>,
    /// Workload-specific figures, such as `bytes_per_task`.
    pub extra: BTreeMap<&'static str, f64>,
    /// The number of worker threads; `None` if each task has its own thread, or if unknown.
    pub workers: Option<u64>,
    /// The readiness backend in use, such as `epoll`; `None` if there is none, or if unknown.
    pub reactor: Option<String>,
    /// The configuration that the runtime's [`Launch`](runtime_core::Launch) started it with, if one did.
    pub(crate) launched: Option<LaunchConfig>,
    /// Records the first timed repetition, which takes it.
    pub(crate) recorder: Option<Recorder>,
    session: Option<Session>,
    /// The recording of that repetition.
    pub(crate) recorded: Option<Recorded>,
    /// The CPU time to add to each timed part, as a fraction of what the part used.
    pub(crate) slowdown: f64,
    counts: SchedulerCounts,
    /// Counts system calls and other events, if this run is for that.
    pub(crate) events: Option<Events>,
    /// Whether to report memory by purpose, if this run is for that.
    pub(crate) split_memory: bool,
    /// Child processes that belong to the runtime under test. What they use is counted too.
    pub(crate) processes: Vec<u32>,
    mark: Option<Mark>,
}

/// The process's counters at one instant.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Instant,
    cpu: Duration,
    counters: usage::Counters,
}

impl Mark {
    fn now(processes: &[u32]) -> Self {
        // Read the clocks last and next to each other, so that neither includes the time to read the counters.
        let counters = counters(processes);
        Self {
            counters,
            cpu: cpu_time(processes),
            at: Instant::now(),
        }
    }

    /// The mark at the end of a repetition. It reads in the opposite order, for the same reason.
    fn end(processes: &[u32]) -> Self {
        let at = Instant::now();
        let cpu = cpu_time(processes);
        Self {
            at,
            cpu,
            counters: counters(processes),
        }
    }
}

/// CPU time of this process and of `processes`.
fn cpu_time(processes: &[u32]) -> Duration {
    let others = processes.iter().filter_map(|&id| usage::cpu_time_of(id));
    usage::process_cpu_time() + others.sum::<Duration>()
}

fn counters(processes: &[u32]) -> usage::Counters {
    let mut sum = usage::counters();
    for other in processes.iter().map(|&id| usage::counters_of(id)) {
        sum.add(other);
    }
    sum
}

fn peak_rss_bytes(processes: &[u32]) -> Option<u64> {
    let others = processes.iter().map(|&id| usage::peak_rss_bytes_of(id));
    Some(usage::peak_rss_bytes()? + others.sum::<Option<u64>>()?)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Meter {
    /// From now on, adds the scheduler's counters over the timed repetitions up in [`extra`](Meter::extra):
    /// `tasks_stolen`, `unparks` and the others that `metrics` has.
    pub fn counts_of(&mut self, metrics: impl Fn() -> Metrics + Send + 'static) {
        self.counts = SchedulerCounts::of(metrics);
    }

    /// Begins a timed repetition.
    pub fn start(&mut self) {
        self.counts.start();
        self.session = self.recorder.take().map(Recorder::start_in_turn);
        self.mark = Some(Mark::now(&self.processes));
        if let Some(events) = &mut self.events {
            events.start();
        }
        callgrind::lab_counted_part_begins();
    }

    /// Ends the timed repetition that [`start`](Meter::start) began. `ops` operations were done in it.
    ///
    /// # Panics
    /// If no `start` came before it.
    pub fn stop(&mut self, ops: u64) {
        callgrind::lab_counted_part_ends();
        if let Some(events) = &mut self.events {
            events.stop();
        }
        if let Some(start) = self.mark.filter(|_| self.slowdown > 0.0) {
            // Spin inside the timed part. CPU time then grows by exactly the share, and wall time by as much as it
            // would on a quiet machine.
            let used = || cpu_time(&self.processes).saturating_sub(start.cpu);
            let whole = used().mul_f64(1.0 + self.slowdown);
            while used() < whole {
                std::hint::spin_loop();
            }
        }
        if let Some(session) = self.session.take() {
            self.recorded = Some(session.stop());
        }
        let end = Mark::end(&self.processes);
        let start = self.mark.take().expect("`stop` follows `start`");
        self.counts.stop(&mut self.extra);
        self.samples.push(Sample::counted(
            ops,
            nanoseconds(end.at - start.at),
            nanoseconds(end.cpu.saturating_sub(start.cpu)),
            end.counters.since(start.counters),
        ));
        self.peak_rss_bytes = peak_rss_bytes(&self.processes);
    }

    /// Discards the repetition that [`start`](Meter::start) began, because it failed.
    pub(crate) fn abandon(&mut self) {
        self.mark = None;
    }

    /// Stores the percentiles of `histogram`, in nanoseconds, and the histogram itself.
    pub fn record_latency(&mut self, histogram: &Histogram<u64>) {
        if !histogram.is_empty() {
            self.latency = Some(Latency::from(histogram));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_differences_between_marks() {
        let mut meter = Meter::default();
        meter.start();
        // First touch of 4 MiB: 1024 page faults, or a few if the system uses huge pages.
        let memory = std::hint::black_box(vec![1_u8; 4 << 20]);
        let sum: u64 = memory.iter().map(|&byte| u64::from(byte)).sum();
        meter.stop(sum);
        let sample = meter.samples[0];
        assert_eq!(sample.ops, 4 << 20);
        assert!(
            sample.page_faults > 0 && sample.page_faults < 100_000,
            "{sample:?}"
        );
        assert!(sample.wall_ns > 0 && sample.cpu_ns > 0, "{sample:?}");
        assert!(meter.peak_rss_bytes.is_none_or(|bytes| bytes >= 4 << 20));
    }

    #[test]
    fn a_slowdown_adds_its_share_of_the_cpu_time() {
        let mut meter = Meter {
            slowdown: 1.0,
            ..Meter::default()
        };
        let begun = usage::process_cpu_time();
        meter.start();
        while usage::process_cpu_time() < begun + Duration::from_millis(5) {
            std::hint::spin_loop();
        }
        meter.stop(1);
        // Half of the CPU time is the work, less what was used before the start. The other half is the slowdown.
        let sample = meter.samples[0];
        assert!(sample.cpu_ns >= 9_000_000, "{sample:?}");
    }

    #[test]
    fn latencies_survive_the_round_trip_through_base64() {
        use base64::Engine as _;
        let mut histogram = Latency::histogram();
        (1..=10_000_u64).for_each(|value| histogram.saturating_record(value * 1000));
        let latency = Latency::from(&histogram);
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(latency.histogram_hdr_base64.unwrap())
            .unwrap();
        let back: Histogram<u64> = hdrhistogram::serialization::Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .unwrap();
        assert_eq!(back.len(), 10_000);
        assert_eq!(back.value_at_quantile(0.99), latency.p99_ns);
    }
}
