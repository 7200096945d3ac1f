//! What a single figure hides: outliers, two modes, drift. They are reported and not averaged away.

use statrs::distribution::{ContinuousCDF as _, Normal};

use super::{Series, median};

/// The threshold for an outlier, in deviations estimated from the median deviation (Iglewicz and Hoaglin).
const OUTLIER_THRESHOLD: f64 = 3.5;
/// Log ratios. Smaller differences are not reported, however regular they are.
const MIN_OUTLIER: f64 = 0.0953; // 1.1
const MIN_SHIFT: f64 = 0.0488; // 1.05
/// A mode has at least this many rounds, and at least a fifth of them.
const MIN_MODE_ROUNDS: usize = 3;
/// With fewer rounds nothing is reported.
const MIN_ROUNDS: usize = 8;
/// The probability that drift is reported for a series without a trend.
const DRIFT_LEVEL: f64 = 0.01;

/// The shape of one arm's rounds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shape {
    /// Rounds far from the others that do not form a mode.
    pub outliers: Vec<u32>,
    /// Two groups that are further apart than either is wide: the number of rounds in the upper one, and the ratio of
    /// the groups' medians.
    pub modes: Option<(usize, f64)>,
    /// A trend over the rounds: the ratio of the end to the start along the median slope (Theil and Sen), if Kendall's
    /// rank correlation with the round shows one.
    pub drift: Option<f64>,
    rounds: usize,
}

impl Shape {
    /// One line, such as `2 of 12 rounds far off (3, 7)`; `None` if there is nothing to report.
    pub fn describe(&self) -> Option<String> {
        let mut said = Vec::new();
        if let Some((upper, ratio)) = self.modes {
            said.push(format!(
                "two modes, {upper} of {} rounds at {ratio:.2}x of the others",
                self.rounds
            ));
        }
        if !self.outliers.is_empty() {
            let rounds: Vec<String> = self
                .outliers
                .iter()
                .map(|round| (round + 1).to_string())
                .collect();
            said.push(format!(
                "{} of {} rounds far off (round {})",
                self.outliers.len(),
                self.rounds,
                rounds.join(", ")
            ));
        }
        if let Some(ratio) = self.drift {
            said.push(format!("drifts to {ratio:.2}x over the run"));
        }
        (!said.is_empty()).then(|| said.join("; "))
    }
}

/// Examines the logarithms of an arm's values.
///
/// ```
/// use bench_suite::statistics::shape_of;
///
/// let mut rounds: Vec<(u32, f64)> = (0..12).map(|round| (round, f64::from(round % 3) / 100.0)).collect();
/// assert_eq!(shape_of(&rounds).describe(), None);
/// rounds[4].1 = 0.5;
/// assert_eq!(shape_of(&rounds).outliers, [4]);
/// ```
pub fn shape_of(logs: &Series) -> Shape {
    if logs.len() < MIN_ROUNDS {
        return Shape::default();
    }
    let modes = modes(logs);
    Shape {
        outliers: if modes.is_none() {
            outliers(logs)
        } else {
            Vec::new()
        },
        modes,
        drift: drift(logs),
        rounds: logs.len(),
    }
}

fn outliers(logs: &Series) -> Vec<u32> {
    let values: Vec<f64> = logs.iter().map(|&(_, value)| value).collect();
    let Some(middle) = median(&values) else {
        return Vec::new();
    };
    let distances: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    let deviation = 1.4826 * median(&distances).unwrap_or(0.0);
    logs.iter()
        .filter(|(_, value)| {
            (value - middle).abs() > (OUTLIER_THRESHOLD * deviation).max(MIN_OUTLIER)
        })
        .map(|&(round, _)| round)
        .collect()
}

fn modes(logs: &Series) -> Option<(usize, f64)> {
    let mut values: Vec<f64> = logs.iter().map(|&(_, value)| value).collect();
    values.sort_by(f64::total_cmp);
    let least = MIN_MODE_ROUNDS.max(values.len() / 5);
    let split = (least..=values.len().checked_sub(least)?)
        .max_by(|&a, &b| (values[a] - values[a - 1]).total_cmp(&(values[b] - values[b - 1])))?;
    let (lower, upper) = values.split_at(split);
    let width = |group: &[f64]| group[group.len() - 1] - group[0];
    let gap = upper[0] - lower[lower.len() - 1];
    (gap > width(lower).max(width(upper)) && gap >= MIN_SHIFT)
        .then(|| Some((upper.len(), (median(upper)? - median(lower)?).exp())))?
}

fn drift(logs: &Series) -> Option<f64> {
    let mut slopes = Vec::new();
    let mut concordance = 0.0;
    for (index, &(round, value)) in logs.iter().enumerate() {
        for &(later_round, later) in &logs[index + 1..] {
            slopes.push((later - value) / (f64::from(later_round) - f64::from(round)));
            concordance += (later - value)
                .partial_cmp(&0.0)
                .map_or(0.0, |order| match order {
                    std::cmp::Ordering::Less => -1.0,
                    std::cmp::Ordering::Equal => 0.0,
                    std::cmp::Ordering::Greater => 1.0,
                });
        }
    }
    let count = logs.len() as f64;
    let variance = count * (count - 1.0) * (2.0 * count + 5.0) / 18.0;
    let z = (f64::abs(concordance) - 1.0) / variance.sqrt();
    let p_value = 2.0 * Normal::standard().sf(z);
    let span = f64::from(logs[logs.len() - 1].0) - f64::from(logs[0].0);
    let shift = median(&slopes)? * span;
    (p_value <= DRIFT_LEVEL && shift.abs() >= MIN_SHIFT).then(|| shift.exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(random: &mut fastrand::Rng) -> f64 {
        // The sum of twelve uniform numbers is close to normal.
        ((0..12).map(|_| random.f64()).sum::<f64>() - 6.0) * 0.03
    }

    fn series(random: &mut fastrand::Rng, shift: impl Fn(u32) -> f64) -> Series {
        (0..16)
            .map(|round| (round, noise(random) + shift(round)))
            .collect()
    }

    #[test]
    fn plain_noise_is_rarely_reported_as_a_shape() {
        let mut random = fastrand::Rng::with_seed(3);
        let named = (0..1000)
            .filter(|_| shape_of(&series(&mut random, |_| 0.0)).describe().is_some())
            .count();
        assert!(named <= 60, "{named} of 1000");
    }

    #[test]
    fn two_modes_bursts_and_drift_are_distinguished() {
        let mut random = fastrand::Rng::with_seed(4);
        let two = shape_of(&series(
            &mut random,
            |round| {
                if round % 3 == 0 { 0.5 } else { 0.0 }
            },
        ));
        assert_eq!((two.modes.unwrap().0, two.outliers.len()), (6, 0));
        let burst = shape_of(&series(
            &mut random,
            |round| {
                if round == 5 { 0.8 } else { 0.0 }
            },
        ));
        assert_eq!((burst.outliers.clone(), burst.modes), (vec![5], None));
        let drift = shape_of(&series(&mut random, |round| f64::from(round) * 0.02));
        assert!(drift.drift.unwrap() > 1.15, "{drift:?}");
        assert!(drift.describe().unwrap().contains("drifts to"));
    }
}
