//! The load that one process reports.

use std::time::Duration;

use base64::Engine as _;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;

use crate::compare::protocol::Measured;
use crate::results::{LateNs, LatencyNs, LoadPoint, Run, Sample, Status};
use crate::statistics::median;

/// If fewer than this share of the due requests are answered, the server does not sustain the rate.
const MIN_ANSWERED_SHARE: f64 = 0.97;
/// If more than this share of the connections are in flight on average in the closed loop, hardly any of them ever
/// waits for its client.
const MAX_IN_FLIGHT_SHARE: f64 = 0.9;
/// With fewer requests there is no meaningful 99th percentile.
const MIN_REQUESTS: u64 = 300;

/// The result of one process at one rate.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Seen {
    /// Requests due per second; `None` in the closed loop.
    pub(crate) offered: Option<f64>,
    pub(crate) requests: u64,
    pub(crate) answered: f64,
    pub(crate) latency: LatencyNs,
    pub(crate) mean_ns: Option<f64>,
    pub(crate) late_p99_ns: Option<f64>,
    pub(crate) cpu_ns_per_op: Option<f64>,
    pub(crate) peak_rss_bytes: Option<f64>,
    pub(crate) unstarted: f64,
}

impl Seen {
    /// `None` if it contains no latencies.
    pub(crate) fn of_measured(rate: u64, measured: &Measured) -> Option<Self> {
        let sum = |field: fn(&Sample) -> u64| measured.samples.iter().map(field).sum::<u64>();
        Self::new(
            rate,
            (
                sum(|one| one.ops),
                sum(|one| one.wall_ns),
                sum(|one| one.cpu_ns),
            ),
            measured.latency_ns?,
            measured.histogram_hdr_base64.as_deref(),
            measured.client_late_ns,
        )
        .map(|seen| Self {
            peak_rss_bytes: measured.peak_rss_bytes.map(|bytes| bytes as f64),
            unstarted: unstarted(measured.extra.get("unstarted_requests")),
            ..seen
        })
    }

    /// The same from a stored run.
    pub(crate) fn of_run(run: &Run) -> Option<Self> {
        if run.status != Status::Ok {
            return None;
        }
        Self::new(
            run.params.get("rate").copied()?,
            (run.ops?, run.wall_ns?, run.cpu_ns?),
            run.latency_ns?,
            run.histogram_hdr_base64.as_deref(),
            run.client_late_ns,
        )
        .map(|seen| Self {
            peak_rss_bytes: run.peak_rss_bytes.map(|bytes| bytes as f64),
            unstarted: unstarted(run.extra.get("unstarted_requests")),
            ..seen
        })
    }

    fn new(
        rate: u64,
        (ops, wall_ns, cpu_ns): (u64, u64, u64),
        latency: LatencyNs,
        histogram: Option<&str>,
        late: Option<LateNs>,
    ) -> Option<Self> {
        (ops > 0 && wall_ns > 0).then(|| Self {
            offered: (rate > 0).then_some(rate as f64),
            requests: ops,
            answered: ops as f64 / (wall_ns as f64 / 1e9),
            latency,
            mean_ns: histogram.and_then(mean),
            late_p99_ns: late.map(|late| late.p99 as f64),
            cpu_ns_per_op: Some(cpu_ns as f64 / ops as f64),
            peak_rss_bytes: None,
            unstarted: 0.0,
        })
    }

    /// The number of requests in the system, by Little's law.
    fn in_flight(&self) -> Option<f64> {
        Some(self.answered * self.mean_ns? / 1e9)
    }

    /// Whether the server did not sustain the rate.
    pub(crate) fn is_saturated(&self) -> bool {
        self.unstarted > 0.0
            || self
                .offered
                .is_some_and(|offered| self.answered < MIN_ANSWERED_SHARE * offered)
    }
}

fn unstarted(figure: Option<&f64>) -> f64 {
    figure.copied().unwrap_or(0.0)
}

/// The mean of a stored histogram of nanoseconds.
fn mean(base64: &str) -> Option<f64> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(base64);
    let histogram: Histogram<u64> = Deserializer::new()
        .deserialize(&mut bytes.ok()?.as_slice())
        .ok()?;
    Some(histogram.mean())
}

/// How long to generate load at `rate` to get a 99th percentile: longer at low rates, up to a limit.
pub(crate) fn duration_at(rate: u64, usual: Duration) -> Duration {
    if rate == 0 {
        return usual;
    }
    let long_enough = Duration::from_secs_f64(MIN_REQUESTS as f64 * 1.1 / rate as f64);
    usual.max(long_enough.min(8 * usual))
}

/// The medians of several processes at one rate; `None` without processes.
pub(crate) fn point(seen: &[Seen], connections: u64) -> Option<LoadPoint> {
    let first = seen.first()?;
    let middle = |figure: &dyn Fn(&Seen) -> Option<f64>| {
        median(&seen.iter().filter_map(figure).collect::<Vec<f64>>())
    };
    let p99_ns = middle(&|one| Some(one.latency.p99 as f64))?;
    let late = middle(&|one| one.late_p99_ns);
    let in_flight = middle(&Seen::in_flight);
    let saturated = 2 * seen.iter().filter(|one| one.is_saturated()).count() > seen.len();
    let few = seen.iter().map(|one| one.requests).min().unwrap_or(0);
    let doubt = match (first.offered, in_flight, late) {
        (None, Some(waiting), _) if waiting >= MAX_IN_FLIGHT_SHARE * connections as f64 => {
            Some(format!(
                "hides waiting: by Little's law nearly all of {connections} connections wait for an answer at any time, \
             so that latency is their number divided by the rate, and what would have come meanwhile is not sent"
            ))
        }
        (Some(_), _, Some(late)) if late > p99_ns / 2.0 => Some(
            "does not count: the client itself was late, by more than half of the p99".to_owned(),
        ),
        _ if few < MIN_REQUESTS => Some(format!(
            "fewer than {MIN_REQUESTS} requests in a process: p99 is one of the slowest of them"
        )),
        _ => None,
    };
    Some(LoadPoint {
        offered_per_s: first.offered,
        answered_per_s: middle(&|one| Some(one.answered))?,
        processes: u32::try_from(seen.len()).unwrap_or(u32::MAX),
        p50_ns: middle(&|one| Some(one.latency.p50 as f64))?,
        p99_ns,
        p999_ns: middle(&|one| Some(one.latency.p999 as f64))?,
        p99_each_ns: seen.iter().map(|one| one.latency.p99 as f64).collect(),
        client_late_p99_ns: late,
        cpu_ns_per_op: middle(&|one| one.cpu_ns_per_op),
        in_flight,
        saturated,
        doubt,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::measure::Latency;

    /// A process in which every request took this long.
    pub(crate) fn seen(rate: u64, answered: f64, latency_ns: u64, late_ns: u64) -> Seen {
        let mut histogram = Latency::histogram();
        (0..1000).for_each(|_| histogram.saturating_record(latency_ns));
        let latency = Latency::from(&histogram);
        let late = (rate > 0).then_some(LateNs {
            p50: late_ns,
            p99: late_ns,
        });
        let ops = answered as u64;
        let whole = (ops, 1_000_000_000, ops * 5_000);
        let encoded = latency.histogram_hdr_base64.as_deref();
        Seen::new(rate, whole, LatencyNs::from(&latency), encoded, late).unwrap()
    }

    #[test]
    fn a_closed_loop_that_hides_waiting_is_marked_by_little_s_law() {
        // 64 connections and 20,000 answers per second: each answer took 3.2 ms.
        let full = point(&[seen(0, 20_000.0, 3_200_000, 0)], 64).unwrap();
        assert!((full.in_flight.unwrap() - 64.0).abs() < 0.5, "{full:?}");
        assert!(
            full.doubt
                .unwrap()
                .starts_with("hides waiting: by Little's law nearly all of 64")
        );
        // At 2 ms each, a third of the connections wait for their client at any time.
        let half = point(&[seen(0, 20_000.0, 2_000_000, 0)], 64).unwrap();
        assert_eq!(half.doubt, None);
    }

    #[test]
    fn a_late_client_takes_a_figure_s_worth_and_a_rate_that_is_not_carried_is_saturation() {
        let late = point(&[seen(1000, 1000.0, 200_000, 150_000)], 64).unwrap();
        assert!(
            late.doubt
                .unwrap()
                .starts_with("does not count: the client")
        );
        let punctual = point(&[seen(1000, 1000.0, 200_000, 20_000)], 64).unwrap();
        assert_eq!((punctual.doubt, punctual.saturated), (None, false));
        let behind = point(&[seen(1000, 900.0, 200_000, 20_000)], 64).unwrap();
        assert!(behind.saturated);
        let few = point(&[seen(100, 100.0, 200_000, 20_000)], 64).unwrap();
        assert!(few.doubt.unwrap().starts_with("fewer than 300 requests"));
        assert_eq!(point(&[], 64), None);
    }

    #[test]
    fn slow_rates_are_measured_longer_within_reason() {
        let usual = Duration::from_millis(500);
        assert_eq!(duration_at(0, usual), usual);
        assert_eq!(duration_at(10_000, usual), usual);
        assert!(duration_at(200, usual) > Duration::from_millis(1600));
        assert_eq!(duration_at(1, usual), Duration::from_secs(4));
    }
}
