//! The universal scalability law (Gunther, 1993): with n workers, the rate is
//!
//! ```text
//! rate(n) = lambda n / (1 + sigma (n - 1) + kappa n (n - 1))
//! ```
//!
//! `lambda` is the rate of one worker, `sigma` the share of work that is serial (contention), and `kappa` the cost of
//! each pair of workers that must agree (coherence). With `kappa` 0 it is Amdahl's law.
//!
//! It is fitted by least squares on the logarithms, because the variation of a rate is proportional to the rate. For
//! given sigma and kappa, the best lambda is a mean. Sigma and kappa are not negative. They are found by Gauss-Newton
//! steps, which are halved until they improve the fit.

/// A fitted law.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Law {
    pub(super) lambda: f64,
    pub(super) sigma: f64,
    pub(super) kappa: f64,
}

impl Law {
    /// The number of workers beyond which more workers make it slower; `None` if there is none.
    pub(super) fn most_workers(self) -> Option<f64> {
        let most = ((1.0 - self.sigma) / self.kappa).sqrt();
        (self.kappa > 0.0 && self.sigma < 1.0).then_some(most)
    }
}

fn divisor(workers: f64, sigma: f64, kappa: f64) -> f64 {
    1.0 + sigma * (workers - 1.0) + kappa * workers * (workers - 1.0)
}

/// Fits the law to points of workers and rate; `None` with fewer than three different numbers of workers.
pub(super) fn fit(points: &[(f64, f64)]) -> Option<Law> {
    let mut numbers: Vec<f64> = points.iter().map(|point| point.0).collect();
    numbers.sort_by(f64::total_cmp);
    numbers.dedup();
    if numbers.len() < 3 || points.iter().any(|(n, rate)| *n < 1.0 || *rate <= 0.0) {
        return None;
    }
    // The minimum inside, and the minima on the edges where sigma, kappa or both are 0.
    let candidates = [[true, true], [true, false], [false, true], [false, false]];
    let fitted = candidates.into_iter().map(|free| descend(points, free));
    let best = fitted.min_by(|one, other| loss(points, *one).total_cmp(&loss(points, *other)))?;
    Some(Law {
        lambda: log_lambda(points, best).exp(),
        sigma: best[0],
        kappa: best[1],
    })
}

/// The mean over the points of the logarithm of lambda.
fn log_lambda(points: &[(f64, f64)], [sigma, kappa]: [f64; 2]) -> f64 {
    let each = points.iter();
    let each = each.map(|(n, rate)| rate.ln() - n.ln() + divisor(*n, sigma, kappa).ln());
    each.sum::<f64>() / points.len() as f64
}

fn residuals(points: &[(f64, f64)], parameters: [f64; 2]) -> Vec<f64> {
    let lambda = log_lambda(points, parameters);
    let of = |(n, rate): &(f64, f64)| {
        rate.ln() - n.ln() + divisor(*n, parameters[0], parameters[1]).ln() - lambda
    };
    points.iter().map(of).collect()
}

fn loss(points: &[(f64, f64)], parameters: [f64; 2]) -> f64 {
    residuals(points, parameters)
        .iter()
        .map(|one| one * one)
        .sum()
}

/// Gauss-Newton from a small start. Parameters that are not free stay 0, and none becomes negative.
fn descend(points: &[(f64, f64)], free: [bool; 2]) -> [f64; 2] {
    let mut at = [
        if free[0] { 0.05 } else { 0.0 },
        if free[1] { 0.001 } else { 0.0 },
    ];
    for _ in 0..200 {
        let Some(step) = step(points, at, free) else {
            break;
        };
        let before = loss(points, at);
        let mut share = 1.0;
        let mut moved = at;
        while share > 1e-10 {
            let next = [0, 1].map(|index| (at[index] - share * step[index]).max(0.0));
            if loss(points, next) < before {
                moved = next;
                break;
            }
            share /= 2.0;
        }
        if moved == at {
            break;
        }
        at = moved;
    }
    at
}

/// The Gauss-Newton step for the free parameters.
fn step(points: &[(f64, f64)], at: [f64; 2], free: [bool; 2]) -> Option<[f64; 2]> {
    let residuals = residuals(points, at);
    // How each residual changes, less the mean change, which lambda absorbs.
    let mut slopes: Vec<[f64; 2]> = points
        .iter()
        .map(|(n, _)| {
            let divisor = divisor(*n, at[0], at[1]);
            [(n - 1.0) / divisor, n * (n - 1.0) / divisor]
        })
        .collect();
    for index in 0..2 {
        let mean = slopes.iter().map(|one| one[index]).sum::<f64>() / slopes.len() as f64;
        for one in &mut slopes {
            one[index] = if free[index] { one[index] - mean } else { 0.0 };
        }
    }
    let sum = |of: &dyn Fn(usize) -> f64| (0..slopes.len()).map(of).sum::<f64>();
    let a = sum(&|i| slopes[i][0] * slopes[i][0]);
    let b = sum(&|i| slopes[i][0] * slopes[i][1]);
    let d = sum(&|i| slopes[i][1] * slopes[i][1]);
    let u = sum(&|i| slopes[i][0] * residuals[i]);
    let v = sum(&|i| slopes[i][1] * residuals[i]);
    let determinant = a * d - b * b;
    match free {
        [true, true] if determinant > 0.0 => {
            Some([(d * u - b * v) / determinant, (a * v - b * u) / determinant])
        }
        [true, false] if a > 0.0 => Some([u / a, 0.0]),
        [false, true] if d > 0.0 => Some([0.0, v / d]),
        _ => None,
    }
}

/// 95% intervals for sigma and kappa by bootstrap: `rounds`, each with all its points, are drawn with replacement
/// `draws` times, and the law is fitted each time. `None` with fewer than four rounds.
pub(super) fn intervals(
    rounds: &[Vec<(f64, f64)>],
    draws: usize,
    seed: u64,
) -> Option<[[f64; 2]; 2]> {
    if rounds.len() < 4 {
        return None;
    }
    let mut random = fastrand::Rng::with_seed(seed);
    let mut drawn: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
    for _ in 0..draws {
        let points: Vec<(f64, f64)> = (0..rounds.len())
            .flat_map(|_| rounds[random.usize(..rounds.len())].iter().copied())
            .collect();
        let law = fit(&points)?;
        drawn[0].push(law.sigma);
        drawn[1].push(law.kappa);
    }
    Some(drawn.map(|mut values| {
        values.sort_by(f64::total_cmp);
        [values[draws / 40], values[draws - 1 - draws / 40]]
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKERS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 12.0, 16.0, 24.0, 32.0];

    impl Law {
        fn rate(self, workers: f64) -> f64 {
            self.lambda * workers / divisor(workers, self.sigma, self.kappa)
        }
    }

    fn points(law: Law) -> Vec<(f64, f64)> {
        WORKERS.iter().map(|&n| (n, law.rate(n))).collect()
    }

    #[test]
    fn known_parameters_are_found_again() {
        for (lambda, sigma, kappa) in [
            (1000.0, 0.02, 0.0005),
            (3.0, 0.0, 0.001),
            (7e6, 0.3, 0.0),
            (1.0, 0.0, 0.0),
            (995.65, 0.026_71, 0.000_769),
            (50.0, 0.8, 0.05),
        ] {
            let law = fit(&points(Law {
                lambda,
                sigma,
                kappa,
            }))
            .unwrap();
            let near = |one: f64, other: f64| {
                assert!(
                    (one - other).abs() <= 1e-6 * other.abs().max(1.0),
                    "{law:?}: {one} {other}"
                );
            };
            near(law.lambda / lambda, 1.0);
            near(law.sigma, sigma);
            near(law.kappa, kappa);
        }
    }

    #[test]
    fn the_fits_are_those_of_scipy() {
        // The numbers come from `tests/statistics/scalability.py`.
        let raytracer = [
            (1.0, 20.0),
            (4.0, 78.0),
            (8.0, 130.0),
            (12.0, 170.0),
            (16.0, 190.0),
            (20.0, 200.0),
            (24.0, 210.0),
            (28.0, 230.0),
            (32.0, 260.0),
            (48.0, 280.0),
            (64.0, 310.0),
        ];
        let specsdm91 = [
            (1.0, 64.9),
            (18.0, 995.9),
            (36.0, 1652.4),
            (72.0, 1853.2),
            (108.0, 1828.9),
            (144.0, 1775.0),
            (216.0, 1702.2),
        ];
        for (points, lambda, sigma, kappa) in [
            (&raytracer[..], 21.591_502, 0.056_405_42, 0.000_003_358_6),
            (&specsdm91[..], 67.942_345, 0.013_452_49, 0.000_115_110_0),
        ] {
            let law = fit(points).unwrap();
            assert!((law.lambda - lambda).abs() < 1e-4, "{law:?}");
            assert!((law.sigma - sigma).abs() < 1e-6, "{law:?}");
            assert!((law.kappa - kappa).abs() < 1e-8, "{law:?}");
        }
    }

    #[test]
    fn more_workers_than_the_law_s_peak_are_slower() {
        let law = Law {
            lambda: 1.0,
            sigma: 0.02,
            kappa: 0.0005,
        };
        let most = law.most_workers().unwrap();
        assert!((most - 44.27).abs() < 0.01, "{most}");
        assert!(law.rate(most) > law.rate(most + 5.0) && law.rate(most) > law.rate(most - 5.0));
        assert_eq!(Law { kappa: 0.0, ..law }.most_workers(), None);
    }

    #[test]
    fn two_numbers_of_workers_are_too_few_for_a_fit() {
        assert_eq!(fit(&[(1.0, 5.0), (2.0, 9.0), (2.0, 9.5)]), None);
        assert_eq!(fit(&[(1.0, 5.0), (2.0, 0.0), (4.0, 9.5)]), None);
    }

    #[test]
    fn the_intervals_hold_the_truth_about_as_often_as_they_say() {
        let truth = Law {
            lambda: 100.0,
            sigma: 0.05,
            kappa: 0.002,
        };
        let mut random = fastrand::Rng::with_seed(11);
        let (mut held, all) = (0, 20);
        for seed in 0..all {
            let rounds: Vec<Vec<(f64, f64)>> = (0..12)
                .map(|_| {
                    let noisy = |&(n, rate): &(f64, f64)| {
                        let noise: f64 = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
                        (n, rate * (0.05 * noise).exp())
                    };
                    points(truth).iter().map(noisy).collect()
                })
                .collect();
            let [sigma, kappa] = intervals(&rounds, 100, seed).unwrap();
            held += u32::from(sigma[0] <= 0.05 && 0.05 <= sigma[1]);
            held += u32::from(kappa[0] <= 0.002 && 0.002 <= kappa[1]);
        }
        // A bootstrap of 12 rounds covers about 90%. The seeds are fixed, so the result is not random.
        assert!(held >= 32, "{held} of 40");
        assert_eq!(intervals(&vec![points(truth); 3], 100, 1), None);
    }
}
