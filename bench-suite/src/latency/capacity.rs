//! `lab capacity`: runs the search with real processes, for each arm.

use std::time::Duration;

use super::ask::{ask, without_rate};
use super::hunt::{Hunt, of_hunts};
use crate::compare::Bench;
use crate::compare::plan::Plan;
use crate::error::{CommandError, usage};
use crate::results::{Capacity, Role};
use crate::statistics::{LEVEL, verdict_of};
use crate::units;

/// Two capacities differ if their ratio exceeds this margin.
const MARGIN: f64 = 0.05;
const MAX_REPEATS: u32 = 100;

/// What to search for, and how carefully.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sought {
    target_ns: f64,
    /// The duration of the load in one probe.
    probe: Duration,
    most_probes: usize,
    repeats: u32,
}

impl Sought {
    /// # Errors
    /// [`CommandError::Usage`] for a target or a number of repeats out of range.
    pub(crate) fn new(p99_ms: f64, repeats: u32, quick: bool) -> Result<Self, CommandError> {
        if !(p99_ms > 0.0 && p99_ms <= 60_000.0) {
            return Err(usage(format!(
                "--p99-ms {p99_ms} is out of range; milliseconds, more than 0 and up to 60000"
            )));
        }
        if !(1..=MAX_REPEATS).contains(&repeats) {
            return Err(usage(format!(
                "--repeats {repeats} is out of range; 1 to {MAX_REPEATS}"
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

/// The capacities of a cell's arms. Failures are added to `notes`.
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
    let names: Vec<&str> = indexes.iter().map(|&index| arms[index].runtime).collect();
    bench.say(&format!(
        "{}: the capacity of {}, at most {} probes of {} s each",
        plan.cells[cell].workload.name,
        names.join(", "),
        sought.most_probes,
        sought.probe.as_secs_f64()
    ));
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
                    Ok(seen) => hunt.record(&seen, sought.target_ns, sought.most_probes),
                    Err(_) if bench.interrupted() => {}
                    Err(failed) => hunt.failed(&failed.line, failed.for_good),
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

/// Compares each capacity with the highest one. The intervals are treated as those of independent logarithms, and the
/// error rate is divided among the comparisons.
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
        // Combine this one's lower end with the best one's upper end, and vice versa.
        let down = side(interval[0], rate).hypot(side(best_interval[1], most)) * wider;
        let up = side(interval[1], rate).hypot(side(best_interval[0], most)) * wider;
        let ends = [estimate - down, estimate + up];
        found[index].ratio = Some(estimate.exp());
        found[index].ratio_ci95 = Some(ends.map(f64::exp));
        // For a capacity, more is better.
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
    use super::*;
    use crate::results::Verdict;

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
