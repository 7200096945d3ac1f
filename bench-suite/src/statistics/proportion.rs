//! The interval of a proportion.

use statrs::distribution::{Beta, ContinuousCDF as _};

/// The exact 95% interval of Clopper and Pearson for `happened` out of `all`; `None` if `all` is 0.
///
/// ```
/// use bench_suite::statistics::proportion_interval;
///
/// let [low, high] = proportion_interval(2, 60).unwrap();
/// assert!((low - 0.00406).abs() < 1e-5 && (high - 0.11529).abs() < 1e-4);
/// ```
pub fn proportion_interval(happened: u64, all: u64) -> Option<[f64; 2]> {
    if all == 0 || happened > all {
        return None;
    }
    let (hits, misses) = (happened as f64, (all - happened) as f64);
    let quantile = |first: f64, second: f64, probability: f64| {
        Beta::new(first, second)
            .ok()
            .map(|beta| beta.inverse_cdf(probability))
    };
    let low = if happened == 0 {
        0.0
    } else {
        quantile(hits, misses + 1.0, 0.025)?
    };
    let high = if happened == all {
        1.0
    } else {
        quantile(hits + 1.0, misses, 0.975)?
    };
    Some([low, high])
}
