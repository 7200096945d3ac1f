//! An exact rank test and the interval that agrees with it.
//!
//! Both tests of this folder count how many averages or differences of a set lie on one side of a value. The null
//! distribution of that count is known. The values that the test does not reject are therefore those between two order
//! statistics of the set. They form the interval: a value lies outside exactly if the test rejects it.

use statrs::distribution::{ContinuousCDF as _, Normal};

/// A sorted sample of averages or differences, and the null distribution of the number on one side.
#[derive(Clone, Debug)]
pub struct RankTest {
    sorted: Vec<f64>,
    /// `cumulative[count]`: the probability that at most `count` lie on one side.
    cumulative: Vec<f64>,
}

impl RankTest {
    /// `cumulative` must have an entry for each count up to at least half of them, because the distribution is
    /// symmetric.
    pub(super) fn new(mut sorted: Vec<f64>, cumulative: Vec<f64>) -> Self {
        sorted.sort_by(f64::total_cmp);
        Self { sorted, cumulative }
    }

    /// The Hodges-Lehmann estimate: the median of the averages or differences. It lies within every interval.
    pub fn estimate(&self) -> f64 {
        let middle = self.sorted.len() / 2;
        if self.sorted.len() % 2 == 1 {
            self.sorted[middle]
        } else {
            f64::midpoint(self.sorted[middle - 1], self.sorted[middle])
        }
    }

    /// Two-sided p value of the hypothesis that the true value is `value`. Ties count against a rejection.
    pub fn p_value(&self, value: f64) -> f64 {
        (2.0 * self.p_below(value).min(self.p_above(value))).min(1.0)
    }

    /// One-sided p value of the hypothesis that the true value is at most `value`; small if the sample lies above.
    pub fn p_below(&self, value: f64) -> f64 {
        self.tail(self.sorted.partition_point(|one| *one <= value))
    }

    /// One-sided p value of the hypothesis that the true value is at least `value`; small if the sample lies below.
    pub fn p_above(&self, value: f64) -> f64 {
        self.tail(self.sorted.len() - self.sorted.partition_point(|one| *one < value))
    }

    fn tail(&self, count: usize) -> f64 {
        let mirrored = || {
            let rest = self.sorted.len().checked_sub(count + 1)?;
            Some(1.0 - self.cumulative.get(rest)?)
        };
        let below_half = self.cumulative.get(count).copied();
        below_half.or_else(mirrored).unwrap_or(1.0)
    }

    /// The values that the two-sided test does not reject at `level`; `None` if the sample is too small to reject
    /// anything at that level.
    pub fn interval(&self, level: f64) -> Option<[f64; 2]> {
        // The largest count on one side that is still rejected.
        let rejected = self
            .cumulative
            .partition_point(|probability| 2.0 * probability <= level);
        let last = self.sorted.len().checked_sub(rejected)?;
        (rejected > 0 && last > 0).then(|| [self.sorted[rejected - 1], self.sorted[last]])
    }
}

/// Cumulative probabilities by the normal approximation with continuity correction, for samples that are too large for
/// exact counting.
pub(super) fn normal_cumulative(mean: f64, deviation: f64, counts: usize) -> Vec<f64> {
    let normal = Normal::standard();
    (0..counts)
        .map(|count| normal.cdf((count as f64 + 0.5 - mean) / deviation))
        .collect()
}

/// Cumulative sums of probabilities.
pub(super) fn accumulated(probabilities: &[f64]) -> Vec<f64> {
    let mut sum = 0.0;
    probabilities
        .iter()
        .map(|probability| {
            sum += probability;
            sum
        })
        .collect()
}
