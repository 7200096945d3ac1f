//! The rank-sum test of Wilcoxon, Mann and Whitney, for unpaired values such as those of two stored runs.
//!
//! The interval comes from the differences of every two values (Hollander and Wolfe, 4.1 to 4.3). In R this is
//! `wilcox.test(x, y, conf.int = TRUE)`.

use super::rank_test::{RankTest, accumulated, normal_cumulative};

/// Up to this many differences, the distribution is exact.
const EXACT_UP_TO: usize = 10_000;

/// Tests by how much `values` exceed `others`; `None` if one of them is empty.
///
/// ```
/// use bench_suite::statistics::rank_sum;
///
/// let test = rank_sum(&[3.0, 4.0, 5.0], &[1.0, 2.0, 2.5]).unwrap();
/// assert_eq!(test.estimate(), 2.0);
/// // One of 20 ways to deal six values out, on either side.
/// assert!((test.p_value(0.0) - 0.1).abs() < 1e-12);
/// ```
pub fn rank_sum(values: &[f64], others: &[f64]) -> Option<RankTest> {
    if values.is_empty() || others.is_empty() {
        return None;
    }
    let differences = values
        .iter()
        .flat_map(|value| others.iter().map(move |other| value - other))
        .collect();
    Some(RankTest::new(
        differences,
        cumulative(values.len(), others.len()),
    ))
}

/// The cumulative distribution of the number of pairs on one side, from 0 to about half of the pairs.
fn cumulative(count: usize, others: usize) -> Vec<f64> {
    let half = count * others / 2 + 1;
    if count * others > EXACT_UP_TO {
        let (count, others) = (count as f64, others as f64);
        let variance = count * others * (count + others + 1.0) / 12.0;
        return normal_cumulative(count * others / 2.0, variance.sqrt(), half);
    }
    // The probability generating function is the Gaussian binomial coefficient divided by the binomial coefficient: the
    // product of (1 - q^(others + i)) / (1 - q^i) * i / (others + i).
    let mut probabilities = vec![0.0; half];
    probabilities[0] = 1.0;
    for index in 1..=count {
        let factor = others + index;
        for pairs in (factor..half).rev() {
            probabilities[pairs] -= probabilities[pairs - factor];
        }
        for pairs in index..half {
            probabilities[pairs] += probabilities[pairs - index];
        }
        let scale = index as f64 / factor as f64;
        for probability in &mut probabilities {
            *probability *= scale;
        }
    }
    accumulated(&probabilities)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seven_a_side_can_decide_at_six_in_ten_thousand() {
        let low: Vec<f64> = (0..7).map(f64::from).collect();
        let high: Vec<f64> = (10..17).map(f64::from).collect();
        let test = rank_sum(&high, &low).unwrap();
        assert!((test.p_value(0.0) - 2.0 / 3432.0).abs() < 1e-12);
    }

    #[test]
    fn the_interval_holds_exactly_what_the_test_does_not_reject() {
        let mut random = fastrand::Rng::with_seed(6);
        for (count, others) in [(5, 9), (8, 8), (20, 12), (120, 110)] {
            let values: Vec<f64> = (0..count).map(|_| random.f64()).collect();
            let other: Vec<f64> = (0..others).map(|_| random.f64()).collect();
            let test = rank_sum(&values, &other).unwrap();
            let [low, high] = test.interval(0.05).unwrap();
            for (inside, outside) in [(low, low - 1e-9), (high, high + 1e-9)] {
                assert!(test.p_value(inside) > 0.05 && test.p_value(outside) <= 0.05);
            }
        }
        assert!(rank_sum(&[], &[1.0]).is_none());
    }
}
