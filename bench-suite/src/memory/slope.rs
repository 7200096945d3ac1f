//! Fits a straight line to points by least squares.

use statrs::distribution::{ContinuousCDF as _, StudentsT};

/// The increase per unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Slope {
    pub(super) estimate: f64,
    /// The 95% interval; `None` with fewer than three points.
    pub(super) interval: Option<[f64; 2]>,
}

/// The slope of the line through `points`; `None` unless two of them differ in x.
pub(super) fn slope(points: &[(f64, f64)]) -> Option<Slope> {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (mean_x, mean_y) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    if points.is_empty() || spread <= 0.0 {
        return None;
    }
    let together: f64 = points
        .iter()
        .map(|(x, y)| (x - mean_x) * (y - mean_y))
        .sum();
    let estimate = together / spread;
    let residual: f64 = points
        .iter()
        .map(|(x, y)| (y - mean_y - estimate * (x - mean_x)).powi(2))
        .sum();
    let freedom = count - 2.0;
    let interval = StudentsT::new(0.0, 1.0, freedom).ok().map(|distribution| {
        let error = (residual / freedom / spread).sqrt();
        let reach = distribution.inverse_cdf(0.975) * error;
        [estimate - reach, estimate + reach]
    });
    Some(Slope { estimate, interval })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_that_of_scipy() {
        // scipy.stats.linregress([1000, 2000, 4000, 1000, 2000, 4000], [...]), and stats.t.ppf(0.975, 4) * stderr.
        let points = [
            (1000.0, 270_336.0),
            (2000.0, 540_672.0),
            (4000.0, 1_060_864.0),
            (1000.0, 262_144.0),
            (2000.0, 528_384.0),
            (4000.0, 1_081_344.0),
        ];
        let line = slope(&points).unwrap();
        let near = |one: f64, other: f64| assert!((one - other).abs() < 1e-3, "{one} {other}");
        near(line.estimate, SCIPY[0]);
        near(line.interval.unwrap()[0], SCIPY[1]);
        near(line.interval.unwrap()[1], SCIPY[2]);
    }

    #[test]
    fn a_line_takes_two_places_and_an_interval_three_points() {
        assert_eq!(slope(&[]), None);
        assert_eq!(slope(&[(1.0, 2.0), (1.0, 3.0)]), None);
        let line = slope(&[(1.0, 2.0), (3.0, 8.0)]).unwrap();
        assert_eq!((line.estimate, line.interval), (3.0, None));
    }

    const SCIPY: [f64; 3] = [268.288000, 260.175075, 276.400925];
}
