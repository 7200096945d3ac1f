//! Wilcoxon's signed-rank test: a sign-flip test of paired differences that is robust against outliers.
//!
//! If an arm and its baseline behave alike, the difference in a round is equally likely to have either sign. The test
//! counts in how many of the 2^n ways to flip the signs the ranks lie at least as far to one side as they did. It does
//! not need a normal distribution, and one burst counts as one rank, however large it is. The interval comes from the
//! Walsh averages, which are the means of every two differences (Hollander and Wolfe, Nonparametric Statistical
//! Methods, 3.1 to 3.3). In R this is `wilcox.test(x, conf.int = TRUE)`.

use super::rank_test::{RankTest, accumulated, normal_cumulative};

/// Up to this many differences, the distribution is exact. Beyond it, the normal approximation is accurate to 0.0005.
const EXACT_UP_TO: usize = 200;

/// Tests `differences`, such as the logarithms of the rounds' ratios; `None` if there are none.
///
/// ```
/// use bench_suite::statistics::signed_rank;
///
/// let test = signed_rank(&[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]).unwrap();
/// // All six on one side: 2 / 2^6.
/// assert_eq!(test.p_value(0.0), 2.0 / 64.0);
/// assert_eq!(test.interval(0.05), Some([0.1, 0.6]));
/// assert_eq!(test.interval(0.01), None);
/// ```
pub fn signed_rank(differences: &[f64]) -> Option<RankTest> {
    let count = differences.len();
    if count == 0 {
        return None;
    }
    let mut averages = Vec::with_capacity(count * (count + 1) / 2);
    for (index, one) in differences.iter().enumerate() {
        averages.extend(
            differences[index..]
                .iter()
                .map(|other| f64::midpoint(*one, *other)),
        );
    }
    Some(RankTest::new(averages, cumulative(count)))
}

/// The cumulative distribution of the rank sum on one side, from 0 to about half of the largest sum.
fn cumulative(count: usize) -> Vec<f64> {
    let largest = count * (count + 1) / 2;
    let half = largest / 2 + 1;
    if count > EXACT_UP_TO {
        let count = count as f64;
        let mean = count * (count + 1.0) / 4.0;
        let variance = count * (count + 1.0) * (2.0 * count + 1.0) / 24.0;
        return normal_cumulative(mean, variance.sqrt(), half);
    }
    let mut probabilities = vec![0.0; half];
    probabilities[0] = 1.0;
    for rank in 1..=count {
        for sum in (0..half).rev() {
            let without = probabilities[sum];
            let with = sum
                .checked_sub(rank)
                .map_or(0.0, |rest| probabilities[rest]);
            probabilities[sum] = f64::midpoint(without, with);
        }
    }
    accumulated(&probabilities)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_holds_exactly_what_the_test_does_not_reject() {
        let mut random = fastrand::Rng::with_seed(5);
        for count in 6..=20 {
            let differences: Vec<f64> = (0..count).map(|_| random.f64() - 0.4).collect();
            let test = signed_rank(&differences).unwrap();
            for level in [0.05, 0.01, 0.001] {
                let Some([low, high]) = test.interval(level) else {
                    assert!(2.0 / 2_f64.powi(count) > level, "{count}, {level}");
                    continue;
                };
                for (inside, outside) in [(low, low - 1e-9), (high, high + 1e-9)] {
                    assert!(test.p_value(inside) > level, "{count}, {level}");
                    assert!(test.p_value(outside) <= level, "{count}, {level}");
                }
                assert!(low <= test.estimate() && test.estimate() <= high);
            }
        }
    }

    #[test]
    fn the_approximation_meets_the_exact_distribution() {
        let exact = cumulative(EXACT_UP_TO);
        let count = EXACT_UP_TO as f64;
        let deviation = (count * (count + 1.0) * (2.0 * count + 1.0) / 24.0).sqrt();
        let approximate = normal_cumulative(count * (count + 1.0) / 4.0, deviation, exact.len());
        for (one, other) in exact.iter().zip(&approximate) {
            assert!((one - other).abs() < 5e-4, "{one} {other}");
        }
        assert_eq!(cumulative(EXACT_UP_TO + 1).len(), 201 * 202 / 4 + 1);
    }

    #[test]
    fn equal_differences_have_an_interval_of_one_point() {
        let test = signed_rank(&[0.0; 12]).unwrap();
        assert_eq!(test.p_value(0.0), 1.0);
        assert_eq!(test.interval(0.05), Some([0.0, 0.0]));
        assert_eq!(test.p_above(0.01), 0.5_f64.powi(12));
        assert!(signed_rank(&[]).is_none());
    }
}
