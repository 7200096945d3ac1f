//! From rounds to ratios, intervals and verdicts.
//!
//! In each round, an arm and its baseline are measured close together, so slow drift cancels out of the round's ratio.
//! Ratios multiply, so their logarithms are compared.
//!
//! - **The test** is a sign-flip test on ranks ([`signed_rank`]). It is exact for every number of rounds, and a burst
//!   that meets one arm in one round counts as one rank. With n rounds no p value is below 2 / 2^n.
//! - **The interval** holds the ratios that the test does not reject, so the two always agree. Nothing needs a
//!   bootstrap: the test can be inverted everywhere, and below the rounds from which it rejects anything there is no
//!   verdict. There the interval is Student's ([`student_t_interval`]) and says so.
//! - **The family** is a workload with one set of parameters: all pairs that a verdict may be given on. [`holm`] keeps
//!   the chance of any wrong difference in it at [`LEVEL`], over all looks of an adaptive run ([`Looks`]). Each
//!   interval is at the level at which its comparison was tested.
//! - **The verdict** is one of four ([`verdict_of`]). "No difference" is an equivalence test at a margin that is
//!   printed.
//! - **The shape** of the rounds is named ([`shape_of`]): outliers, two modes, drift.
//!
//! Runs of different sessions are not paired: [`rank_sum`] compares those, with an interval made the same way.
//!
//! Distributions come from `statrs`. What is here is checked against vectors made with R and scipy
//! (`tests/statistics`).

mod family;
mod holm;
mod proportion;
mod rank_sum;
mod rank_test;
mod resolution;
mod shape;
mod signed_rank;
mod spending;
mod student_t;
mod verdict;

pub use family::{Hypothesis, Judgement, interval_only, judge};
pub use holm::holm;
pub use proportion::proportion_interval;
pub use rank_sum::rank_sum;
pub use rank_test::RankTest;
pub use resolution::{MOST_ROUNDS, rounds_missing, rounds_to_reject, smallest_p_value};
pub use shape::{Shape, shape_of};
pub use signed_rank::signed_rank;
pub use spending::{LOOKS, Look, Looks};
pub use student_t::student_t_interval;
pub use verdict::verdict_of;

/// The probability of any wrong difference in a family, and of an interval that misses the truth.
pub const LEVEL: f64 = 0.05;

/// The name of the method in results and reports.
pub const METHOD: &str = "Hodges-Lehmann estimate of the per-round log ratios; the interval holds what the exact \
     signed-rank test does not reject, at 95% or more; Holm over each workload; looks share the error rate out";

/// Values with the round in which they were measured.
pub type Series = Vec<(u32, f64)>;

/// The median; `None` for an empty slice.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted: Vec<f64> = values
        .iter()
        .copied()
        .filter(|value| value.is_finite())
        .collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }
}
