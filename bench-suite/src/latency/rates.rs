//! Chooses the rates to measure.

/// The shares of the slowest arm's capacity at which all arms are compared.
const COMPARED: [f64; 3] = [0.3, 0.6, 0.9];
/// The shares of an arm's own capacity at which its curve has additional points.
const OWN: [f64; 6] = [0.4, 0.6, 0.8, 0.95, 1.1, 1.3];

/// The rates of the comparison, in requests per second. `slowest` is the slowest arm's rate in the closed loop.
pub(super) fn compared(slowest: f64) -> Vec<u64> {
    let mut rates: Vec<u64> = COMPARED
        .iter()
        .map(|share| ((slowest * share).round() as u64).max(1))
        .collect();
    rates.dedup();
    rates
}

/// The rates for the rest of an arm's curve, up to more than its rate in the closed loop.
pub(super) fn own(capacity: f64, compared: &[u64]) -> Vec<u64> {
    let highest = compared.iter().max().copied().unwrap_or(0) as f64;
    OWN.iter()
        .map(|share| capacity * share)
        .filter(|rate| *rate > highest * 1.05)
        .map(|rate| rate.round() as u64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_goes_on_from_the_compared_rates_to_beyond_its_own_capacity() {
        let rates = compared(10_000.0);
        assert_eq!(rates, [3000, 6000, 9000]);
        // The slowest arm itself, and an arm with three times its capacity.
        assert_eq!(own(10_000.0, &rates), [9500, 11_000, 13_000]);
        assert_eq!(
            own(30_000.0, &rates),
            [12_000, 18_000, 24_000, 28_500, 33_000, 39_000]
        );
        assert_eq!(
            compared(1.0),
            [1],
            "a rate is a whole number, and none is 0"
        );
    }
}
