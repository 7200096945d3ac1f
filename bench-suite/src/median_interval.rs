//! An interval for a median that makes no assumption about the distribution.

/// Two of the values, with the median between them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MedianInterval {
    /// The lower one.
    pub low: f64,
    /// The upper one.
    pub high: f64,
    /// The probability that the true median is between them: at least 0.95 with 6 values or more. With fewer values it
    /// is lower, and the interval is from the smallest to the largest value.
    pub coverage: f64,
}

impl MedianInterval {
    /// The narrowest pair of order statistics that covers the median with 95%, or the whole range if none does; `None`
    /// without values.
    ///
    /// Whatever the distribution, the number of values below the true median is distributed like heads in coin tosses.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (first, last) = (*sorted.first()?, *sorted.last()?);
        let mut interval = Self {
            low: first,
            high: last,
            coverage: coverage(sorted.len(), 0),
        };
        for cut in 1..=(sorted.len() - 1) / 2 {
            let coverage = coverage(sorted.len(), cut);
            if coverage < 0.95 {
                break;
            }
            interval = Self {
                low: sorted[cut],
                high: sorted[sorted.len() - 1 - cut],
                coverage,
            };
        }
        Some(interval)
    }
}

/// The probability that the median of `count` values lies between them after you remove `cut` values at each end. This
/// is the probability that more than `cut` and fewer than `count - cut` values lie below it.
fn coverage(count: usize, cut: usize) -> f64 {
    // The probability of exactly `heads` heads, updated step by step.
    let mut exactly = 0.5_f64.powi(i32::try_from(count).unwrap_or(i32::MAX));
    let mut tail = 0.0;
    for heads in 0..=cut {
        tail += exactly;
        exactly *= (count - heads) as f64 / (heads + 1) as f64;
    }
    (1.0 - 2.0 * tail).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(count: u32) -> MedianInterval {
        let values: Vec<f64> = (1..=count).rev().map(f64::from).collect();
        MedianInterval::of(&values).unwrap()
    }

    #[test]
    fn few_values_give_their_range_and_say_how_little_it_covers() {
        assert_eq!(MedianInterval::of(&[]), None);
        assert_eq!(of(1).coverage, 0.0);
        let five = of(5);
        assert_eq!((five.low, five.high, five.coverage), (1.0, 5.0, 0.9375));
    }

    #[test]
    fn more_values_give_the_narrowest_pair_that_covers_95_percent() {
        // From the tables of the sign test: the extremes with 6 to 8 values, the second ones with 9, the 6th ones with
        // 20.
        assert_eq!((of(6).low, of(6).high), (1.0, 6.0));
        assert_eq!((of(8).low, of(8).high), (1.0, 8.0));
        assert_eq!((of(9).low, of(9).high), (2.0, 8.0));
        assert_eq!((of(20).low, of(20).high), (6.0, 15.0));
        assert!((of(20).coverage - 0.9586).abs() < 1e-4, "{:?}", of(20));
    }
}
