//! One search for one arm: its probes, which of them count, and the result.

use super::probe::Seen;
use super::search::{Estimate, Search};
use crate::results::{Capacity, CapacityProbe};
use crate::statistics::median;
use crate::units;

/// An arm is given up after this many failures.
const MAX_FAILURES: u32 = 3;
/// After this many misses that don't count, the client is the limit.
const MAX_LATE_PROBES: u32 = 4;
/// A probe this close to the capacity, as a logarithm, shows the costs at the capacity.
const NEAR_CAPACITY: f64 = 0.15;

/// One search for one arm.
#[derive(Clone, Debug, Default)]
pub(super) struct Hunt {
    /// Starts once the closed loop has given a guess.
    search: Option<Search>,
    probes: Vec<(CapacityProbe, Seen)>,
    failures: u32,
    late: u32,
    pub(super) error: Option<String>,
}

impl Hunt {
    /// The next rate to probe. 0 is the closed loop, which gives the first guess.
    pub(super) fn next(&self) -> u64 {
        let search = self.search.as_ref();
        search.map_or(0, |search| (search.next().round() as u64).max(1))
    }

    pub(super) fn record(&mut self, seen: &Seen, target_ns: f64, most_probes: usize) {
        let Some(offered) = seen.offered else {
            self.search = Some(Search::around(seen.answered, most_probes));
            return;
        };
        let p99_ns = seen.latency.p99 as f64;
        let kept = p99_ns <= target_ns && !seen.is_saturated();
        // The latency includes the client's lateness. If the target was met, it was met in spite of it.
        let late = seen.late_p99_ns.is_some_and(|late| late > target_ns / 2.0);
        let counts = kept || !late;
        self.probes.push((
            CapacityProbe {
                offered_per_s: offered,
                answered_per_s: seen.answered,
                p99_ns,
                client_late_p99_ns: seen.late_p99_ns,
                kept: counts.then_some(kept),
            },
            seen.clone(),
        ));
        match &mut self.search {
            Some(search) if counts => search.record(offered, kept),
            _ => self.late += 1,
        }
    }

    /// Records the failure of a process. `for_good` means that another process would fail too.
    pub(super) fn failed(&mut self, line: &str, for_good: bool) {
        self.failures += if for_good { MAX_FAILURES } else { 1 };
        self.error.get_or_insert_with(|| line.to_owned());
    }

    pub(super) fn is_done(&self) -> bool {
        self.failures >= MAX_FAILURES
            || self.late >= MAX_LATE_PROBES
            || self.search.as_ref().is_some_and(Search::is_done)
    }

    /// The capacity, if the server and not the client limited it.
    pub(super) fn found(&self) -> Option<Estimate> {
        let search = self.search.as_ref()?;
        let kept = self
            .probes
            .iter()
            .any(|(probe, _)| probe.kept == Some(true));
        let missed = self
            .probes
            .iter()
            .any(|(probe, _)| probe.kept == Some(false));
        (kept && missed && self.late < MAX_LATE_PROBES && !search.is_hopeless())
            .then(|| search.estimate())
    }

    fn limit(&self) -> Option<String> {
        if self.failures >= MAX_FAILURES {
            return self.error.clone();
        }
        let asked = |kept: Option<bool>| {
            let these = self
                .probes
                .iter()
                .filter(move |(probe, _)| probe.kept == kept);
            these.map(|(probe, _)| probe.offered_per_s)
        };
        let most = asked(Some(true)).fold(0.0, f64::max);
        if self.late >= MAX_LATE_PROBES {
            let late = self.probes.iter().filter(|(probe, _)| probe.kept.is_none());
            let late: Vec<f64> = late.filter_map(|(_, seen)| seen.late_p99_ns).collect();
            return Some(format!(
                "at least {}/s: beyond it the client itself is late, by {} at the 99th percentile",
                units::rate(most),
                units::duration_ns(median(&late).unwrap_or(0.0))
            ));
        }
        let search = self.search.as_ref()?;
        if search.is_hopeless() {
            let least = asked(Some(false)).fold(f64::INFINITY, f64::min);
            let p99: Vec<f64> = self.probes.iter().map(|(probe, _)| probe.p99_ns).collect();
            return Some(format!(
                "no rate keeps it: at {}/s p99 is {}",
                units::rate(least),
                units::duration_ns(p99.iter().copied().fold(f64::INFINITY, f64::min))
            ));
        }
        None
    }
}

/// The result of an arm's searches: the median, with the interval of the search that found it.
pub(super) fn of_hunts(hunts: &[Hunt]) -> Capacity {
    let mut found: Vec<Estimate> = hunts.iter().filter_map(Hunt::found).collect();
    let repeats: Vec<f64> = found.iter().map(|one| one.rate).collect();
    found.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    let middle = found
        .get(found.len() / 2)
        .filter(|_| 2 * found.len() > hunts.len());
    let near = |figure: fn(&Seen) -> Option<f64>| {
        let rate = middle?.rate;
        let probes = hunts.iter().flat_map(|hunt| &hunt.probes);
        let these =
            probes.filter(|(probe, _)| (probe.offered_per_s / rate).ln().abs() <= NEAR_CAPACITY);
        median(
            &these
                .filter_map(|(_, seen)| figure(seen))
                .collect::<Vec<f64>>(),
        )
    };
    Capacity {
        per_s: middle.map(|one| one.rate),
        ci95: middle.map(|one| one.interval),
        repeats: if hunts.len() > 1 { repeats } else { Vec::new() },
        cpu_ns_per_op: near(|seen| seen.cpu_ns_per_op),
        peak_rss_bytes: near(|seen| seen.peak_rss_bytes),
        probes: hunts
            .iter()
            .flat_map(|hunt| hunt.probes.iter().map(|(probe, _)| *probe))
            .collect(),
        limit: match middle {
            Some(_) => None,
            None => hunts.iter().find_map(Hunt::limit),
        },
        ..Capacity::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::probe::tests::seen;
    use super::*;

    const TARGET_NS: f64 = 5e6;

    /// Hunts a server that answers within 1 ms up to its capacity, and answers no more than that.
    fn hunt(capacity: f64, late_ns: u64) -> Hunt {
        let mut hunt = Hunt::default();
        hunt.record(&seen(0, capacity * 1.1, 3_000_000, 0), TARGET_NS, 40);
        while !hunt.is_done() {
            let rate = hunt.next();
            let carried = rate as f64 <= capacity;
            let latency = if carried { 1_000_000 } else { 80_000_000 };
            let answered = (rate as f64).min(capacity);
            hunt.record(&seen(rate, answered, latency, late_ns), TARGET_NS, 40);
        }
        hunt
    }

    #[test]
    fn the_capacity_is_where_the_target_begins_to_be_missed() {
        let one = of_hunts(&[hunt(8_000.0, 20_000)]);
        let [low, high] = one.ci95.unwrap();
        assert!((one.per_s.unwrap() / 8_000.0 - 1.0).abs() < 0.03, "{one:?}");
        assert!(
            low < 8_050.0 && high > 7_950.0 && high / low < 1.09,
            "{one:?}"
        );
        assert!(one.limit.is_none() && one.cpu_ns_per_op == Some(5_000.0));
    }

    #[test]
    fn misses_of_a_late_client_do_not_count_and_are_reported() {
        let one = of_hunts(&[hunt(8_000.0, 4_000_000)]);
        assert_eq!((one.per_s, one.ci95), (None, None));
        let limit = one.limit.unwrap();
        assert!(
            limit.starts_with("at least ") && limit.contains("the client itself is late"),
            "{limit}"
        );
    }

    #[test]
    fn a_target_that_no_rate_keeps_is_reported() {
        let mut hunt = Hunt::default();
        hunt.record(&seen(0, 200.0, 90_000_000, 0), TARGET_NS, 40);
        while !hunt.is_done() {
            let rate = hunt.next();
            hunt.record(&seen(rate, rate as f64, 90_000_000, 20_000), TARGET_NS, 40);
        }
        let one = of_hunts(&[hunt]);
        assert!(one.limit.unwrap().starts_with("no rate keeps it: at "));
    }

    #[test]
    fn an_arm_that_fails_is_given_up_with_its_first_error() {
        let mut hunt = Hunt::default();
        for line in ["echo under x: crashed: a", "b", "c"] {
            assert!(!hunt.is_done());
            hunt.failed(line, false);
        }
        let mut missing = Hunt::default();
        missing.failed("echo under go: not installed: apt install golang", true);
        assert!(missing.is_done());
        assert!(hunt.is_done());
        assert_eq!(
            of_hunts(&[hunt]).limit.as_deref(),
            Some("echo under x: crashed: a")
        );
    }
}
