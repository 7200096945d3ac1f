//! What a number of rounds can decide, and about how many more would be needed.

/// The most rounds that are worth a forecast.
pub const MOST_ROUNDS: u32 = 1000;

/// The smallest two-sided p value of a sign-flip test of `rounds` pairs: 2 / 2^n.
pub fn smallest_p_value(rounds: u32) -> f64 {
    2.0 * 0.5_f64.powi(i32::try_from(rounds).unwrap_or(i32::MAX))
}

/// The fewest pairs with which a sign-flip test can reject at `level`.
///
/// ```
/// use bench_suite::statistics::rounds_to_reject;
///
/// assert_eq!(rounds_to_reject(0.05), 6);
/// // Holm over 30 comparisons: 10 rounds decide nothing.
/// assert_eq!(rounds_to_reject(0.05 / 30.0), 11);
/// ```
pub fn rounds_to_reject(level: f64) -> u32 {
    (1..=MOST_ROUNDS)
        .find(|&rounds| smallest_p_value(rounds) <= level)
        .unwrap_or(MOST_ROUNDS)
}

/// About how many more rounds a decision would take at the present noise: until the interval excludes 0 or fits within
/// the margin, whichever comes first. An interval narrows with the square root of the rounds. `None` if it would take
/// more than [`MOST_ROUNDS`].
///
/// ```
/// use bench_suite::statistics::rounds_missing;
///
/// // 3% off with 6% to either side after 12 rounds: half the width takes four times the rounds.
/// assert_eq!(rounds_missing(0.03, [-0.03, 0.09], 0.0198, 12), Some(36));
/// ```
pub fn rounds_missing(estimate: f64, interval: [f64; 2], margin: f64, rounds: u32) -> Option<u32> {
    let half = (interval[1] - interval[0]) / 2.0;
    let distance = estimate.abs();
    let needed = distance.max(margin - distance);
    if needed <= 0.0 || !half.is_finite() {
        return None;
    }
    let all = (f64::from(rounds) * (half / needed).powi(2)).ceil();
    // At least one more, if the estimate is within the noise floor or not in the middle of its interval.
    (all <= f64::from(MOST_ROUNDS)).then(|| (all as u32).saturating_sub(rounds).max(1))
}
