//! Synthetic tables with a known truth, judged like real ones.
//!
//! A table resembles one workload of `lab compare`: four arms and an A/A arm, rounds in random order, looks, arms that
//! stop once they are decided, and a time limit that ends some runs early. The true ratios are drawn, and the noise is
//! generated.

use std::panic::resume_unwind;
use std::thread;

use crate::results::{Power, Share, Simulated, Verdict};
use crate::statistics::{
    Hypothesis, Judgement, LOOKS, Looks, Series, interval_only, judge, median,
};

const ARMS: usize = 4;
/// The index of the A/A arm, which repeats the first arm.
const REPEAT: usize = ARMS;

/// True differences between an arm and the first arm, as ratio - 1: none, below the margin, at it, above it.
const EFFECTS: [f64; 9] = [0.0, 0.0, 0.0, 0.01, 0.02, 0.03, 0.05, 0.10, 1.0];

/// Standard deviations of a round's logarithm, from a quiet machine to a noisy one.
const DEVIATIONS: [f64; 4] = [0.005, 0.01, 0.02, 0.04];

/// The kind of noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noise {
    Normal,
    /// Student's t with 2 degrees of freedom, which has no finite variance.
    HeavyTails,
    /// One run in twelve takes half as long again, in any arm.
    Bursts,
    /// The machine becomes 30% slower during the run, also within rounds, and has slower and faster phases.
    Drift,
    /// Three runs in ten are 15% slower, in any arm.
    TwoModes,
    /// The same, but only in the first arm.
    TwoModesOfOne,
}

impl Noise {
    pub(super) const ALL: [Self; 6] = [
        Self::Normal,
        Self::HeavyTails,
        Self::Bursts,
        Self::Drift,
        Self::TwoModes,
        Self::TwoModesOfOne,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::HeavyTails => "heavy tails",
            Self::Bursts => "bursts",
            Self::Drift => "drift",
            Self::TwoModes => "two modes",
            Self::TwoModesOfOne => "two modes of one arm",
        }
    }
}

const MODE: f64 = 0.14; // ln(1.15)
const IN_MODE: f64 = 0.3;

/// Judges `tables` tables for each kind of noise, on a thread per kind.
pub(super) fn simulate(tables: u32, margin: f64, seed: u64) -> Vec<Simulated> {
    let simulate_kind = |index: usize, noise: Noise| {
        let mut random = fastrand::Rng::with_seed(seed.wrapping_add(index as u64));
        let mut counts = Counts::default();
        for _ in 0..tables {
            Table::draw(noise, &mut random).judge(margin, &mut random, &mut counts);
        }
        counts.simulated(noise, tables)
    };
    thread::scope(|scope| {
        let kinds: Vec<_> = Noise::ALL
            .into_iter()
            .enumerate()
            .map(|(index, noise)| scope.spawn(move || simulate_kind(index, noise)))
            .collect();
        kinds
            .into_iter()
            .map(|kind| kind.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    })
}

/// A table's true effects, and the noise around them.
struct Table {
    noise: Noise,
    /// The effect on the logarithm, by arm.
    effects: [f64; ARMS],
    deviation: f64,
    /// By how much the pseudo-median of an arm with its own two modes exceeds that of the others.
    shifted: f64,
}

impl Table {
    fn draw(noise: Noise, random: &mut fastrand::Rng) -> Self {
        let mut effects = [0.0; ARMS];
        for effect in &mut effects[1..] {
            let size = EFFECTS[random.usize(..EFFECTS.len())].ln_1p();
            *effect = if random.bool() { size } else { -size };
        }
        let deviation = DEVIATIONS[random.usize(..DEVIATIONS.len())];
        Self {
            noise,
            effects,
            deviation,
            shifted: match noise {
                Noise::TwoModesOfOne => pseudo_median_of_modes(deviation),
                _ => 0.0,
            },
        }
    }

    /// The logarithm of each arm's time in a round. The arms run in random order.
    fn round(&self, round: u32, random: &mut fastrand::Rng) -> [f64; ARMS + 1] {
        let mut order: [usize; ARMS + 1] = std::array::from_fn(|arm| arm);
        random.shuffle(&mut order);
        let weather = 0.05 * (f64::from(round) / 4.0).sin();
        std::array::from_fn(|arm| {
            let effect = if arm == REPEAT {
                0.0
            } else {
                self.effects[arm]
            };
            let position = order.iter().position(|one| *one == arm).unwrap_or(0);
            let place = f64::from(round) + position as f64 / (ARMS + 1) as f64;
            effect
                + match self.noise {
                    Noise::Normal => normal(random) * self.deviation,
                    Noise::HeavyTails => heavy(random) * self.deviation,
                    Noise::Bursts => {
                        let burst = if random.f64() < 1.0 / 12.0 { 0.4 } else { 0.0 };
                        normal(random) * self.deviation + burst
                    }
                    Noise::Drift => normal(random) * self.deviation + place * 0.005 + weather,
                    Noise::TwoModes => normal(random) * self.deviation + mode(random),
                    Noise::TwoModesOfOne => {
                        let own = arm == 0 || arm == REPEAT;
                        let mode = if own { mode(random) } else { 0.0 };
                        normal(random) * self.deviation + mode
                    }
                }
        })
    }

    /// The true logarithm of the ratio of an arm to a baseline.
    fn truth(&self, arm: usize, baseline: usize) -> f64 {
        let own = |one: usize| if one == 0 { self.shifted } else { 0.0 };
        self.effects[arm] + own(arm) - self.effects[baseline] - own(baseline)
    }

    /// Runs the table to its end, with the looks of `lab compare`.
    fn judge(&self, margin: f64, random: &mut fastrand::Rng, counts: &mut Counts) {
        let pairs: Vec<(usize, usize)> = (0..ARMS)
            .flat_map(|baseline| (baseline + 1..ARMS).map(move |arm| (arm, baseline)))
            .collect();
        // The time limit stops some runs between two looks.
        let end = LOOKS[random.usize(..LOOKS.len())] + random.u32(0..5);
        let mut values: Vec<Series> = vec![Series::new(); ARMS + 1];
        let mut active = [true; ARMS + 1];
        let mut looks = Looks::default();
        let mut judged: Vec<Judgement> = Vec::new();
        let mut best = 0;
        for round in 0..end {
            if LOOKS.contains(&round) {
                looks.interim(round);
                judged = judge(&family(&values, &pairs), margin.ln_1p(), &looks);
                if looks.made().len() == 1 {
                    best = fastest(&values);
                }
                let open = open_arms(&judged, &pairs, best);
                active = std::array::from_fn(|arm| {
                    open.contains(&arm) || (arm == REPEAT && !open.is_empty())
                });
                active[0] |= active[REPEAT];
                if open.is_empty() {
                    break;
                }
            }
            let logs = self.round(round, random);
            for (arm, log) in logs.into_iter().enumerate() {
                if active[arm] {
                    values[arm].push((round, log));
                }
            }
        }
        if looks.made().is_empty() || !open_arms(&judged, &pairs, best).is_empty() {
            looks.finish(end);
            judged = judge(&family(&values, &pairs), margin.ln_1p(), &looks);
        }
        counts.add(self, &pairs, &judged, margin);
    }
}

fn family(values: &[Series], pairs: &[(usize, usize)]) -> Vec<Hypothesis> {
    let noise = differences(&values[REPEAT], &values[0]);
    pairs
        .iter()
        .map(|&(arm, baseline)| Hypothesis {
            differences: differences(&values[arm], &values[baseline]),
            noise: noise.clone(),
        })
        .collect()
}

fn differences(values: &Series, baseline: &Series) -> Series {
    values
        .iter()
        .filter_map(|&(round, value)| {
            let index = baseline.binary_search_by_key(&round, |one| one.0).ok()?;
            Some((round, value - baseline[index].1))
        })
        .collect()
}

fn fastest(values: &[Series]) -> usize {
    let middle = |arm: &usize| {
        let logs: Vec<f64> = values[*arm].iter().map(|&(_, log)| log).collect();
        median(&logs).unwrap_or(f64::INFINITY)
    };
    (0..ARMS)
        .min_by(|a, b| middle(a).total_cmp(&middle(b)))
        .unwrap_or(0)
}

/// The arms whose verdict against the best arm is still open.
fn open_arms(judged: &[Judgement], pairs: &[(usize, usize)], best: usize) -> Vec<usize> {
    pairs
        .iter()
        .zip(judged)
        .filter(|((arm, baseline), one)| {
            (*arm == best || *baseline == best) && one.verdict == Verdict::NotEnoughData
        })
        .flat_map(|((arm, baseline), _)| [*arm, *baseline])
        .collect()
}

/// The results of all tables of one kind.
#[derive(Default)]
struct Counts {
    covered: Share,
    false_difference: Share,
    false_equality: Share,
    open: Share,
    power: Vec<Power>,
}

impl Counts {
    fn add(&mut self, table: &Table, pairs: &[(usize, usize)], judged: &[Judgement], margin: f64) {
        let mut wrong = false;
        for (&(arm, baseline), one) in pairs.iter().zip(judged) {
            let truth = table.truth(arm, baseline);
            if let Some([low, high]) = one.interval.filter(|_| one.exact) {
                // Allow for rounding errors.
                self.covered
                    .add(low - 1e-12 <= truth && truth <= high + 1e-12);
            }
            let said = match one.verdict {
                Verdict::Better => -1.0,
                Verdict::Worse => 1.0,
                _ => 0.0,
            };
            wrong |= said != 0.0 && said * truth <= 1e-12;
            if truth.abs() >= margin.ln_1p() - 1e-12 {
                self.false_equality
                    .add(one.verdict == Verdict::NoDifference);
            }
            self.open.add(one.verdict == Verdict::NotEnoughData);
            let size = (truth.abs().exp_m1() * 1000.0).round() / 10.0;
            let found = said * truth > 0.0;
            let power = match self.power.iter_mut().find(|power| power.percent == size) {
                Some(power) => power,
                // Leave out sums of two effects or of an effect and a mode: they are too many for a table.
                None if !EFFECTS.iter().any(|one| (one * 100.0 - size).abs() < 0.05) => continue,
                None => {
                    self.power.push(Power {
                        percent: size,
                        ..Power::default()
                    });
                    let last = self.power.len() - 1;
                    &mut self.power[last]
                }
            };
            power.different.add(found);
            power.equal.add(one.verdict == Verdict::NoDifference);
        }
        self.false_difference.add(wrong);
    }

    fn simulated(mut self, noise: Noise, tables: u32) -> Simulated {
        self.power.sort_by(|a, b| a.percent.total_cmp(&b.percent));
        Simulated {
            noise: noise.name().to_owned(),
            tables: u64::from(tables),
            covered: self.covered,
            false_difference: self.false_difference,
            false_no_difference: self.false_equality,
            not_enough_data: self.open,
            power: self.power,
        }
    }
}

/// A standard normal number (Box and Muller).
fn normal(random: &mut fastrand::Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.f64()).cos()
}

/// Student's t with 2 degrees of freedom, by its quantiles.
fn heavy(random: &mut fastrand::Rng) -> f64 {
    let share = random.f64().clamp(1e-9, 1.0 - 1e-9);
    (2.0 * share - 1.0) / (2.0 * share * (1.0 - share)).sqrt()
}

fn mode(random: &mut fastrand::Rng) -> f64 {
    if random.f64() < IN_MODE { MODE } else { 0.0 }
}

/// The expected estimate for an arm with two modes against one without, from many rounds.
fn pseudo_median_of_modes(deviation: f64) -> f64 {
    let mut random = fastrand::Rng::with_seed(11);
    let many: Series = (0..1500)
        .map(|round| {
            let noise = (normal(&mut random) - normal(&mut random)) * deviation;
            (round, noise + mode(&mut random))
        })
        .collect();
    interval_only(&many).estimate.unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_noise_has_its_stated_distribution() {
        let mut random = fastrand::Rng::with_seed(1);
        let many: Vec<f64> = (0..20_000).map(|_| normal(&mut random)).collect();
        let variance = many.iter().map(|one| one * one).sum::<f64>() / 20_000.0;
        assert!((variance - 1.0).abs() < 0.05, "{variance}");
        // A t with 2 degrees of freedom exceeds 4.30 in absolute value with a probability of 5%.
        let far = (0..20_000)
            .filter(|_| heavy(&mut random).abs() > 4.303)
            .count();
        assert!((800..1200).contains(&far), "{far}");
    }

    #[test]
    fn a_few_tables_keep_the_error_rates_and_find_large_differences() {
        for simulated in simulate(25, 0.02, 7) {
            assert!(simulated.covered.rate() > 0.93, "{simulated:?}");
            assert!(simulated.false_difference.rate() < 0.1, "{simulated:?}");
            assert!(simulated.false_no_difference.rate() < 0.05, "{simulated:?}");
            let double = simulated.power.iter().find(|one| one.percent == 100.0);
            if let Some(double) = double {
                assert!(double.different.rate() > 0.95, "{simulated:?}");
            }
        }
    }
}
