//! From runs to ratios, intervals and verdicts.
//!
//! The method is simple, and named wherever its figures are shown ([`METHOD`]): in each round the runtime and the
//! baseline are measured next to each other, so the round's ratio is free of what drifts slowly. Ratios multiply, so
//! their logarithms are averaged; the interval of that mean is Student's t, with one degree of freedom fewer than
//! there are rounds.

use crate::results::Verdict;

/// The name of the method, as it stands in results and reports.
pub const METHOD: &str = "geometric mean of the per-round ratios; 95% interval by Student's t on their logarithms, paired by round, not corrected for multiple comparisons";

/// Processes of each arm below which there is no verdict.
pub const MIN_PROCESSES: usize = 10;

/// A ratio and what is known about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// runtime / baseline.
    pub ratio: f64,
    /// 95% interval; `None` from a single pair.
    pub ci95: Option<[f64; 2]>,
    /// Pairs it is from.
    pub pairs: usize,
}

/// The ratio of paired values, as `(runtime, baseline)`. Pairs that are not both positive and finite have no ratio and
/// are left out. `None` if none is left.
///
/// ```
/// use bench_suite::statistics::paired_ratio;
///
/// let ratio = paired_ratio(&[(2.0, 1.0), (8.0, 4.0), (6.0, 3.0)]).unwrap();
/// assert_eq!((ratio.ratio, ratio.pairs), (2.0, 3));
/// ```
pub fn paired_ratio(pairs: &[(f64, f64)]) -> Option<Ratio> {
    let logs: Vec<f64> = pairs
        .iter()
        .map(|(value, baseline)| (value / baseline).ln())
        .filter(|log| log.is_finite())
        .collect();
    if logs.is_empty() {
        return None;
    }
    let count = logs.len() as f64;
    let mean = logs.iter().sum::<f64>() / count;
    let ci95 = (logs.len() >= 2).then(|| {
        let variance = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let half = student_t_975(logs.len() - 1) * (variance / count).sqrt();
        [(mean - half).exp(), (mean + half).exp()]
    });
    Some(Ratio {
        ratio: mean.exp(),
        ci95,
        pairs: logs.len(),
    })
}

/// The verdict on a ratio of something of which less is better.
///
/// A difference is one that the interval shows and that is larger than what the baseline differs from itself by.
/// Without a measured noise floor there is no verdict, as there is no telling noise from difference.
pub fn verdict(ratio: &Ratio, noise_floor: Option<f64>) -> Verdict {
    let (Some([low, high]), Some(floor)) = (ratio.ci95, noise_floor) else {
        return Verdict::NotEnoughData;
    };
    if ratio.pairs < MIN_PROCESSES {
        Verdict::NotEnoughData
    } else if (ratio.ratio - 1.0).abs() <= floor {
        Verdict::NoDifference
    } else if high < 1.0 {
        Verdict::Better
    } else if low > 1.0 {
        Verdict::Worse
    } else {
        Verdict::NoDifference
    }
}

/// The median; `None` of nothing.
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

/// The 97.5% quantile of Student's t, exact to the three digits that are printed.
fn student_t_975(degrees_of_freedom: usize) -> f64 {
    /// For 1 to 12 degrees of freedom; from there on the series below is good to 0.0001.
    const TABLE: [f64; 12] = [
        12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281, 2.2010,
        2.1788,
    ];
    if let Some(quantile) = degrees_of_freedom
        .checked_sub(1)
        .and_then(|index| TABLE.get(index))
    {
        return *quantile;
    }
    if degrees_of_freedom == 0 {
        return f64::INFINITY;
    }
    // Cornish and Fisher's expansion around the normal quantile (Abramowitz and Stegun, 26.7.5).
    let z = 1.959_964_f64;
    let n = degrees_of_freedom as f64;
    z + (z.powi(3) + z) / (4.0 * n)
        + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * n.powi(2))
        + (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / (384.0 * n.powi(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_agree_with_the_tables() {
        for (degrees_of_freedom, quantile) in [
            (1, 12.7062),
            (9, 2.2622),
            (12, 2.1788),
            (13, 2.1604),
            (20, 2.0860),
            (30, 2.0423),
            (120, 1.9799),
        ] {
            let ours = student_t_975(degrees_of_freedom);
            assert!(
                (ours - quantile).abs() < 2e-4,
                "{degrees_of_freedom}: {ours}"
            );
        }
    }

    #[test]
    fn a_common_drift_cancels_out() {
        let pairs: Vec<_> = (1..=10_i32)
            .map(|round| (3.0 * f64::from(round), f64::from(round)))
            .collect();
        let ratio = paired_ratio(&pairs).unwrap();
        let [low, high] = ratio.ci95.unwrap();
        assert!((ratio.ratio - 3.0).abs() < 1e-9 && (high - low) < 1e-9);
    }

    #[test]
    fn the_interval_is_that_of_a_worked_example() {
        // Logs 0.1, 0.2, 0.3: mean 0.2, s = 0.1, half width 4.3027 * 0.1 / sqrt(3) = 0.24842.
        let pairs: Vec<_> = [0.1_f64, 0.2, 0.3]
            .iter()
            .map(|log| (log.exp(), 1.0))
            .collect();
        let [low, high] = paired_ratio(&pairs).unwrap().ci95.unwrap();
        assert!((low.ln() - (0.2 - 0.24842)).abs() < 1e-4);
        assert!((high.ln() - (0.2 + 0.24842)).abs() < 1e-4);
    }

    #[test]
    fn a_failed_or_empty_pair_is_left_out_and_one_pair_has_no_interval() {
        assert_eq!(paired_ratio(&[]), None);
        assert_eq!(
            paired_ratio(&[(0.0, 1.0), (1.0, 0.0), (f64::NAN, 1.0)]),
            None
        );
        let one = paired_ratio(&[(2.0, 1.0)]).unwrap();
        assert_eq!((one.ci95, one.pairs), (None, 1));
    }

    #[test]
    fn a_verdict_needs_ten_processes_and_more_than_noise() {
        let ratio = |ratio: f64, low, high, pairs| Ratio {
            ratio,
            ci95: Some([low, high]),
            pairs,
        };
        let floor = Some(0.02);
        assert_eq!(
            verdict(&ratio(0.5, 0.4, 0.6, 9), floor),
            Verdict::NotEnoughData
        );
        assert_eq!(
            verdict(&ratio(0.5, 0.4, 0.6, 10), None),
            Verdict::NotEnoughData
        );
        assert_eq!(verdict(&ratio(0.5, 0.4, 0.6, 10), floor), Verdict::Better);
        assert_eq!(verdict(&ratio(1.5, 1.4, 1.6, 10), floor), Verdict::Worse);
        assert_eq!(
            verdict(&ratio(1.5, 0.9, 2.6, 10), floor),
            Verdict::NoDifference
        );
        assert_eq!(
            verdict(&ratio(0.99, 0.98, 0.995, 10), floor),
            Verdict::NoDifference
        );
    }

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }
}
