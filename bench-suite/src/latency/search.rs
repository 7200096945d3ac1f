//! Sequential search for the highest rate that meets a target.
//!
//! Near the capacity, it is random whether a probe meets the target, so a single burst would mislead bisection. The
//! method comes from measuring thresholds in psychophysics (QUEST: Watson and Pelli, 1983): the chance of missing the
//! target rises with the logarithm of the rate along a logistic curve, whose middle is the capacity and whose width
//! is unknown. The search keeps the posterior weight of each pair of capacity and width, and puts the next probe
//! where the capacity is likely to be. It ends when 95% of the weight lies within 4% on either side. The model
//! includes probes that fail for reasons other than the rate, such as a burst of the machine.

/// The step between capacities, as a logarithm.
const STEP: f64 = 0.004;
/// The widths of the logistic curve, as logarithms of the rate, from a sharp edge to a slow decline.
const WIDTHS: [f64; 5] = [0.005, 0.01, 0.02, 0.04, 0.08];
/// The share of probes that miss the target at any rate, because of bursts.
const MISS_RATE_FLOOR: f64 = 0.04;
/// The share of probes that meet the target at any rate.
const KEEP_RATE_FLOOR: f64 = 0.01;
/// The quantile of the capacity's posterior at which to probe next, in turn. The middle finds the capacity, the sides
/// find the width.
const PLACES: [f64; 3] = [0.5, 0.35, 0.65];
/// The search ends when the ends of the 95% interval are within this ratio.
const MAX_INTERVAL_RATIO: f64 = 1.08;
const MIN_PROBES: usize = 9;

/// The estimate of a capacity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    /// The posterior median, in requests per second.
    pub(crate) rate: f64,
    /// Contains the capacity with a probability of 95%.
    pub(crate) interval: [f64; 2],
}

/// A search in progress.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    /// The logarithms between which the search takes place.
    lowest: f64,
    highest: f64,
    /// The logarithm of each probed rate, and whether the target was met.
    probes: Vec<(f64, bool)>,
    /// Logarithms of the weights: for each capacity, from the lowest on, the weights of all widths.
    weights: Vec<f64>,
    most_probes: usize,
}

impl Search {
    /// A search around `guess` requests per second: from a fiftieth of it to twice as much, extended if necessary.
    pub(crate) fn around(guess: f64, most_probes: usize) -> Self {
        Self {
            lowest: (guess / 50.0).ln(),
            highest: (guess * 2.0).ln(),
            probes: Vec::new(),
            weights: Vec::new(),
            most_probes,
        }
        .reach()
    }

    /// Recomputes the weights from all probes, up to the highest capacity.
    fn reach(mut self) -> Self {
        let cells = ((self.highest - self.lowest) / STEP).ceil() as usize + 1;
        self.weights = vec![0.0; cells * WIDTHS.len()];
        for (log, kept) in self.probes.clone() {
            self.weigh(log, kept);
        }
        self
    }

    fn weigh(&mut self, log: f64, kept: bool) {
        for (cell, widths) in self.weights.chunks_mut(WIDTHS.len()).enumerate() {
            let capacity = self.lowest + cell as f64 * STEP;
            for (weight, width) in widths.iter_mut().zip(WIDTHS) {
                let beyond = 1.0 / (1.0 + (-(log - capacity) / width).exp());
                let missed = MISS_RATE_FLOOR + (1.0 - MISS_RATE_FLOOR - KEEP_RATE_FLOOR) * beyond;
                let chance = if kept { 1.0 - missed } else { missed };
                *weight += chance.ln();
            }
        }
    }

    /// The next rate to probe.
    pub(crate) fn next(&self) -> f64 {
        let posterior = self.posterior();
        posterior
            .quantile(PLACES[self.probes.len() % PLACES.len()])
            .exp()
    }

    /// Records whether a probe at `rate` met the target.
    pub(crate) fn record(&mut self, rate: f64, kept: bool) {
        let log = rate.ln();
        self.probes.push((log, kept));
        self.weigh(log, kept);
        // The upper edge must not limit the search.
        if kept && log > self.highest - 0.3 {
            self.highest = log + 0.7;
            *self = self.clone().reach();
        }
    }

    /// The current estimate.
    pub(crate) fn estimate(&self) -> Estimate {
        let posterior = self.posterior();
        Estimate {
            rate: posterior.quantile(0.5).exp(),
            interval: [0.025, 0.975].map(|share| posterior.quantile(share).exp()),
        }
    }

    /// Whether more probes would add little.
    pub(crate) fn is_done(&self) -> bool {
        let [low, high] = self.estimate().interval;
        self.probes.len() >= self.most_probes
            || self.is_hopeless()
            || (self.probes.len() >= MIN_PROBES && high / low <= MAX_INTERVAL_RATIO)
    }

    /// Whether the target is missed even at the lowest rates.
    pub(crate) fn is_hopeless(&self) -> bool {
        let low = |probe: &&(f64, bool)| probe.0 < self.lowest + 1.0;
        self.probes.iter().filter(low).count() >= 3 && self.probes.iter().all(|(_, kept)| !kept)
    }

    fn posterior(&self) -> Posterior {
        let most = self
            .weights
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = self
            .weights
            .chunks(WIDTHS.len())
            .map(|widths| widths.iter().map(|log| (log - most).exp()).sum())
            .collect();
        Posterior {
            lowest: self.lowest,
            whole: weights.iter().sum(),
            weights,
        }
    }
}

/// The weights of the capacities, from the lowest on.
struct Posterior {
    lowest: f64,
    weights: Vec<f64>,
    whole: f64,
}

impl Posterior {
    fn quantile(&self, share: f64) -> f64 {
        let mut sum = 0.0;
        for (cell, weight) in self.weights.iter().enumerate() {
            sum += weight;
            if sum >= share * self.whole {
                // Interpolate within the cell, so that the answer does not jump between cells.
                let within = 1.0 - (sum - share * self.whole) / weight;
                return self.lowest + (cell as f64 + within - 0.5) * STEP;
            }
        }
        self.lowest + self.weights.len() as f64 * STEP
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server whose probes miss the target along the logistic curve, and one in thirty because of a burst.
    fn found(capacity: f64, width: f64, guess: f64, random: &mut fastrand::Rng) -> Search {
        let mut search = Search::around(guess, 40);
        while !search.is_done() {
            let rate = search.next();
            let beyond = 1.0 / (1.0 + (-(rate / capacity).ln() / width).exp());
            let kept = random.f64() >= beyond && random.f64() >= 1.0 / 30.0;
            search.record(rate, kept);
        }
        search
    }

    #[test]
    fn ten_searches_agree_within_5_percent_and_the_interval_holds_the_truth() {
        let mut random = fastrand::Rng::with_seed(20);
        let (mut held, mut all, mut asked) = (0, 0, 0);
        for (capacity, guess) in [(12_345.0, 20_000.0), (700.0, 900.0), (90_000.0, 50_000.0)] {
            let mut rates = Vec::new();
            for _ in 0..10 {
                let search = found(capacity, 0.02, guess, &mut random);
                let Estimate { rate, interval } = search.estimate();
                held += u32::from((interval[0]..=interval[1]).contains(&capacity));
                all += 1;
                asked += search.probes.len();
                rates.push(rate);
            }
            rates.sort_by(f64::total_cmp);
            let middle = f64::midpoint(rates[4], rates[5]);
            for rate in &rates {
                assert!((rate / middle - 1.0).abs() <= 0.05, "{rates:?}");
            }
            assert!((middle / capacity - 1.0).abs() <= 0.02, "{rates:?}");
        }
        assert!(held >= all - 3, "{held} of {all}");
        assert!(
            asked <= all as usize * 30,
            "{asked} probes of {all} searches"
        );
    }

    #[test]
    fn a_sharp_edge_takes_few_probes() {
        let mut random = fastrand::Rng::with_seed(21);
        let search = found(5_000.0, 0.001, 8_000.0, &mut random);
        assert!(search.probes.len() <= 22, "{}", search.probes.len());
    }

    #[test]
    fn where_no_rate_keeps_the_target_the_search_ends_soon_and_says_so() {
        let mut search = Search::around(1000.0, 40);
        while !search.is_done() {
            search.record(search.next(), false);
        }
        assert!(
            search.is_hopeless() && search.probes.len() < 15,
            "{search:?}"
        );
        assert!(!found(300.0, 0.02, 1000.0, &mut fastrand::Rng::with_seed(2)).is_hopeless());
    }

    #[test]
    fn a_capacity_far_above_the_guess_is_found_too() {
        let mut random = fastrand::Rng::with_seed(22);
        let search = found(10_000.0, 0.01, 1_000.0, &mut random);
        assert!((search.estimate().rate / 10_000.0 - 1.0).abs() < 0.05);
    }
}
