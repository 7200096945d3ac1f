//! Student's t: the interval of samples that are too small for an exact test.

use statrs::distribution::{ContinuousCDF as _, StudentsT};

/// The interval of the mean of `values` at `level`; `None` with fewer than two values. It assumes a normal
/// distribution, which a handful of values can't confirm, so no verdict is based on it.
///
/// ```
/// use bench_suite::statistics::student_t_interval;
///
/// let [low, high] = student_t_interval(&[0.1, 0.2, 0.3], 0.05).unwrap();
/// assert!((low + 0.04841).abs() < 1e-5 && (high - 0.44841).abs() < 1e-5);
/// ```
pub fn student_t_interval(values: &[f64], level: f64) -> Option<[f64; 2]> {
    if values.len() < 2 {
        return None;
    }
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let quantile = StudentsT::new(0.0, 1.0, count - 1.0)
        .ok()?
        .inverse_cdf(1.0 - level / 2.0);
    let half = quantile * (variance / count).sqrt();
    Some([mean - half, mean + half])
}
