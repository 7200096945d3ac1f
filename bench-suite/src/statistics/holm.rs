//! Holm's correction: many tests together have the error rate of one.

/// Which of the hypotheses with these p values are rejected, and the level at which each was tested, in the order of
/// `p_values`. `open_besides` is the number of other hypotheses of the family that are neither rejected nor tested now.
///
/// The smallest p value is compared with `level` divided by the number of remaining hypotheses. If it is rejected, one
/// fewer remains, and so on until one is not rejected. All others are tested at that one's level.
///
/// ```
/// use bench_suite::statistics::holm;
///
/// let tested = holm(&[0.03, 0.01, 0.5], 0.05, 0);
/// assert_eq!(tested, [(false, 0.025), (true, 0.05 / 3.0), (false, 0.025)]);
/// ```
pub fn holm(p_values: &[f64], level: f64, open_besides: usize) -> Vec<(bool, f64)> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut tested = vec![(false, level); p_values.len()];
    let mut stopped_at = None;
    for (position, &index) in order.iter().enumerate() {
        let left = p_values.len() - position + open_besides;
        let own = stopped_at.unwrap_or(level / left as f64);
        // A NaN is never rejected.
        let rejected = stopped_at.is_none() && p_values[index] <= own;
        if !rejected {
            stopped_at = Some(own);
        }
        tested[index] = (rejected, own);
    }
    tested
}
