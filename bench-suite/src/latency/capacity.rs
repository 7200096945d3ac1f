//! `lab capacity`: the search, put to real processes, for all arms in turn.

use std::time::Duration;

use super::probe::Seen;
use super::search::{Estimate, Search};
use super::{ask, failure, without_rate};
use crate::compare::Bench;
use crate::compare::plan::Plan;
use crate::error::{CommandError, usage};
use crate::results::{Capacity, CapacityProbe, Role};
use crate::statistics::{LEVEL, median, verdict_of};
use crate::units;

/// Failures after which an arm is given up.
const PATIENCE: u32 = 3;
/// Misses that do not count, after which the client is what the search has found.
const LATE_PATIENCE: u32 = 4;
/// Beyond which ratio two capacities differ, for the verdict.
const MARGIN: f64 = 0.05;
/// A probe as near as this to the capacity tells what it costs there.
const NEAR: f64 = 0.15;
const MOST_REPEATS: u32 = 100;

/// What is sought, and with how much care.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sought {
    target_ns: f64,
    /// How long load is put on in one probe.
    probe: Duration,
    most_probes: usize,
    repeats: u32,
}

impl Sought {
    /// # Errors
    /// [`CommandError::Usage`] for a target or repeats out of range.
    pub(crate) fn new(p99_ms: f64, repeats: u32, quick: bool) -> Result<Self, CommandError> {
        if !(p99_ms > 0.0 && p99_ms <= 60_000.0) {
            return Err(usage(format!(
                "--p99-ms {p99_ms} is out of range; milliseconds, more than 0 and up to 60000"
            )));
        }
        if !(1..=MOST_REPEATS).contains(&repeats) {
            return Err(usage(format!(
                "--repeats {repeats} is out of range; 1 to {MOST_REPEATS}"
            )));
        }
        Ok(Self {
            target_ns: p99_ms * 1e6,
            probe: Duration::from_millis(if quick { 250 } else { 700 }),
            most_probes: if quick { 14 } else { 40 },
            repeats,
        })
    }
}

/// The capacities of a cell's arms. What failed is added to `notes`.
pub(crate) fn capacities(
    bench: &Bench,
    plan: &Plan,
    cell: usize,
    sought: &Sought,
    notes: &mut Vec<String>,
) -> Vec<Capacity> {
    let arms = &plan.cells[cell].arms;
    let indexes: Vec<usize> = (0..arms.len())
        .filter(|&index| arms[index].role == Role::Arm)
        .collect();
    let mut all: Vec<Vec<Hunt>> = vec![Vec::new(); indexes.len()];
    for repeat in 0..sought.repeats {
        for hunts in &mut all {
            hunts.push(Hunt::default());
        }
        for number in 0.. {
            let mut is_idle = true;
            for (place, hunts) in all.iter_mut().enumerate() {
                let arm = &arms[indexes[place]];
                let hunt = &mut hunts[repeat as usize];
                if hunt.is_done() || bench.interrupted() {
                    continue;
                }
                is_idle = false;
                let rate = hunt.next();
                match ask(bench, plan, (cell, arm), rate, sought.probe, number) {
                    Ok(seen) => hunt.tell(&seen, sought),
                    Err(_) if bench.interrupted() => {}
                    Err(error) => {
                        let line = failure(plan, cell, arm, &error);
                        bench.say(&line);
                        hunt.failed(&line);
                    }
                }
            }
            if is_idle {
                break;
            }
        }
        bench.say(&format!(
            "{}: search {} of {}: {}",
            plan.cells[cell].workload.name,
            repeat + 1,
            sought.repeats,
            said(&all, |place| arms[indexes[place]].runtime, repeat as usize)
        ));
    }
    let mut found: Vec<Capacity> = indexes
        .iter()
        .zip(all)
        .map(|(&index, hunts)| {
            let arm = &arms[index];
            notes.extend(hunts.iter().find_map(|hunt| hunt.error.clone()));
            Capacity {
                workload: plan.cells[cell].workload.name.to_owned(),
                params: without_rate(&plan.cells[cell].params),
                runtime: arm.runtime.to_owned(),
                config: arm.config(),
                p99_target_ns: sought.target_ns,
                ..of_hunts(&hunts)
            }
        })
        .collect();
    judge(&mut found);
    found
}

fn said(all: &[Vec<Hunt>], name: impl Fn(usize) -> &'static str, repeat: usize) -> String {
    let each = all.iter().enumerate().map(|(place, hunts)| {
        let rate = hunts[repeat].found().map_or_else(
            || "no figure".to_owned(),
            |one| format!("{}/s", units::rate(one.rate)),
        );
        format!("{} {rate}", name(place))
    });
    each.collect::<Vec<_>>().join(", ")
}

/// One search of one arm.
#[derive(Clone, Debug, Default)]
struct Hunt {
    /// Begun once the closed loop has given a guess.
    search: Option<Search>,
    probes: Vec<(CapacityProbe, Seen)>,
    failures: u32,
    late: u32,
    error: Option<String>,
}

impl Hunt {
    /// The rate to be asked next; 0 is the closed loop, which gives the first guess.
    fn next(&self) -> u64 {
        let search = self.search.as_ref();
        search.map_or(0, |search| (search.next().round() as u64).max(1))
    }

    fn tell(&mut self, seen: &Seen, sought: &Sought) {
        let Some(offered) = seen.offered else {
            self.search = Some(Search::around(seen.answered, sought.most_probes));
            return;
        };
        let p99_ns = seen.latency.p99 as f64;
        let kept = p99_ns <= sought.target_ns && !seen.is_saturated();
        // The client's lateness is within the latency: where the target is kept it was kept all the same.
        let late = seen
            .late_p99_ns
            .is_some_and(|late| late > sought.target_ns / 2.0);
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
            Some(search) if counts => search.tell(offered, kept),
            _ => self.late += 1,
        }
    }

    fn failed(&mut self, line: &str) {
        self.failures += 1;
        self.error.get_or_insert_with(|| line.to_owned());
    }

    fn is_done(&self) -> bool {
        self.failures >= PATIENCE
            || self.late >= LATE_PATIENCE
            || self.search.as_ref().is_some_and(Search::is_done)
    }

    /// The capacity, if it is the server's.
    fn found(&self) -> Option<Estimate> {
        let search = self.search.as_ref()?;
        let kept = self
            .probes
            .iter()
            .any(|(probe, _)| probe.kept == Some(true));
        let missed = self
            .probes
            .iter()
            .any(|(probe, _)| probe.kept == Some(false));
        (kept && missed && self.late < LATE_PATIENCE && !search.is_hopeless())
            .then(|| search.estimate())
    }

    fn limit(&self) -> Option<String> {
        if self.failures >= PATIENCE {
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
        if self.late >= LATE_PATIENCE {
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

/// What the searches of one arm come to: the median, and the interval of the one that has it.
fn of_hunts(hunts: &[Hunt]) -> Capacity {
    let mut found: Vec<Estimate> = hunts.iter().filter_map(Hunt::found).collect();
    let repeats: Vec<f64> = found.iter().map(|one| one.rate).collect();
    found.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    let middle = found
        .get(found.len() / 2)
        .filter(|_| 2 * found.len() > hunts.len());
    let near = |figure: fn(&Seen) -> Option<f64>| {
        let rate = middle?.rate;
        let probes = hunts.iter().flat_map(|hunt| &hunt.probes);
        let these = probes.filter(|(probe, _)| (probe.offered_per_s / rate).ln().abs() <= NEAR);
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

/// Compares each with the one that carries most: their intervals as those of independent logarithms, shared out over
/// the comparisons.
fn judge(found: &mut [Capacity]) {
    let known: Vec<(usize, f64, [f64; 2])> = found
        .iter()
        .enumerate()
        .filter_map(|(index, one)| Some((index, one.per_s?, one.ci95?)))
        .collect();
    let Some(&(best, most, best_interval)) = known.iter().max_by(|a, b| a.1.total_cmp(&b.1)) else {
        return;
    };
    let others = known.len().saturating_sub(1).max(1);
    let wider =
        normal_quantile(1.0 - LEVEL / 2.0 / others as f64) / normal_quantile(1.0 - LEVEL / 2.0);
    for (index, rate, interval) in known {
        if index == best {
            continue;
        }
        let estimate = (rate / most).ln();
        let side = |end: f64, from: f64| (end / from).ln();
        // This one's lower end with the best one's upper end, and the other way round.
        let down = side(interval[0], rate).hypot(side(best_interval[1], most)) * wider;
        let up = side(interval[1], rate).hypot(side(best_interval[0], most)) * wider;
        let ends = [estimate - down, estimate + up];
        found[index].ratio = Some(estimate.exp());
        found[index].ratio_ci95 = Some(ends.map(f64::exp));
        // Here more is better.
        let turned = [-ends[1], -ends[0]];
        found[index].verdict = Some(verdict_of(-estimate, turned, MARGIN.ln_1p(), 0.0));
    }
}

fn normal_quantile(share: f64) -> f64 {
    use statrs::distribution::{ContinuousCDF as _, Normal};
    Normal::standard().inverse_cdf(share)
}

#[cfg(test)]
mod tests {
    use super::super::probe::tests::seen;
    use super::*;
    use crate::results::Verdict;

    fn sought() -> Sought {
        Sought::new(5.0, 1, false).unwrap()
    }

    /// Hunts a server that keeps 1 ms up to its capacity and answers no more than that.
    fn hunt(capacity: f64, late_ns: u64) -> Hunt {
        let mut hunt = Hunt::default();
        hunt.tell(&seen(0, capacity * 1.1, 3_000_000, 0), &sought());
        while !hunt.is_done() {
            let rate = hunt.next();
            let carried = rate as f64 <= capacity;
            let latency = if carried { 1_000_000 } else { 80_000_000 };
            let answered = (rate as f64).min(capacity);
            hunt.tell(&seen(rate, answered, latency, late_ns), &sought());
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
    fn misses_of_a_late_client_do_not_count_and_are_what_is_reported() {
        let one = of_hunts(&[hunt(8_000.0, 4_000_000)]);
        assert_eq!((one.per_s, one.ci95), (None, None));
        let limit = one.limit.unwrap();
        assert!(
            limit.starts_with("at least ") && limit.contains("the client itself is late"),
            "{limit}"
        );
    }

    #[test]
    fn where_no_rate_keeps_the_target_that_is_said() {
        let mut hunt = Hunt::default();
        hunt.tell(&seen(0, 200.0, 90_000_000, 0), &sought());
        while !hunt.is_done() {
            let rate = hunt.next();
            hunt.tell(&seen(rate, rate as f64, 90_000_000, 20_000), &sought());
        }
        let one = of_hunts(&[hunt]);
        assert!(one.limit.unwrap().starts_with("no rate keeps it: at "));
    }

    #[test]
    fn an_arm_that_fails_is_given_up_with_its_first_error() {
        let mut hunt = Hunt::default();
        for line in ["echo under x: crashed: a", "b", "c"] {
            assert!(!hunt.is_done());
            hunt.failed(line);
        }
        assert!(hunt.is_done());
        assert_eq!(
            of_hunts(&[hunt]).limit.as_deref(),
            Some("echo under x: crashed: a")
        );
    }

    #[test]
    fn capacities_are_compared_with_the_largest() {
        let capacity = |rate: f64| Capacity {
            per_s: Some(rate),
            ci95: Some([rate * 0.98, rate * 1.02]),
            ..Capacity::default()
        };
        let mut found = [capacity(5_000.0), capacity(10_000.0), capacity(9_900.0)];
        judge(&mut found);
        assert_eq!(
            (found[0].verdict, found[1].verdict),
            (Some(Verdict::Worse), None)
        );
        assert_eq!(found[2].verdict, Some(Verdict::NoDifference));
        assert!((found[0].ratio.unwrap() - 0.5).abs() < 1e-9);
        let [low, high] = found[0].ratio_ci95.unwrap();
        assert!(low > 0.47 && low < 0.49 && high < 0.53, "{low} {high}");
    }

    #[test]
    fn absurd_targets_are_refused() {
        for (p99_ms, repeats) in [
            (0.0, 1),
            (-1.0, 1),
            (f64::NAN, 1),
            (1e9, 1),
            (5.0, 0),
            (5.0, 101),
        ] {
            assert!(
                Sought::new(p99_ms, repeats, false).is_err(),
                "{p99_ms} {repeats}"
            );
        }
    }
}
