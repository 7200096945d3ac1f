//! From an interval to one of four verdicts.

use crate::results::Verdict;

/// The verdict for the interval of a log ratio. Less is better.
///
/// - Entirely within the margin: no difference beyond it. This is an equivalence test: two one-sided tests, each at
///   half the interval's level (TOST; Schuirmann, 1987). It takes precedence, because a difference that is proven to be
///   smaller than the margin does not matter.
/// - Entirely on one side of 0: better or worse, if the estimate exceeds the difference of the baseline from itself.
/// - Otherwise: not enough data.
///
/// ```
/// use bench_suite::results::Verdict;
/// use bench_suite::statistics::verdict_of;
///
/// let margin = 1.02_f64.ln();
/// assert_eq!(verdict_of(-0.1, [-0.2, -0.05], margin, 0.01), Verdict::Better);
/// assert_eq!(verdict_of(0.1, [0.05, 0.2], margin, 0.3), Verdict::NotEnoughData);
/// assert_eq!(verdict_of(0.0, [-0.01, 0.01], margin, 0.3), Verdict::NoDifference);
/// ```
pub fn verdict_of(estimate: f64, interval: [f64; 2], margin: f64, noise: f64) -> Verdict {
    let [low, high] = interval;
    if low > -margin && high < margin {
        Verdict::NoDifference
    } else if high < 0.0 && estimate.abs() > noise {
        Verdict::Better
    } else if low > 0.0 && estimate.abs() > noise {
        Verdict::Worse
    } else {
        Verdict::NotEnoughData
    }
}
