//! When the data is looked at, and how much of the error rate each look may spend.
//!
//! If you look repeatedly and stop at the first difference, you will find differences that do not exist. The error rate
//! is therefore divided among the looks, and the shares add up to the whole. However the looks depend on each other,
//! the total error is then at most the whole rate (Bonferroni's inequality; the group sequential tests of Maurer and
//! Bretz, 2013, with a stepwise spending function). Wherever a comparison stops, its interval therefore still has its
//! nominal coverage.

/// An adaptive run looks after these rounds: enough for the first look to decide at a level of a thousandth, then about
/// 1.5 times as many each time.
pub const LOOKS: [u32; 5] = [12, 18, 27, 40, 60];

/// The share of the error rate for each look but the last.
const SHARE: f64 = 0.2;

/// A look at the data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// The number of rounds that the look includes: each pair has at most this many.
    pub rounds: u32,
    /// Its share of the error rate.
    pub share: f64,
}

/// The looks so far.
///
/// ```
/// use bench_suite::statistics::Looks;
///
/// // A fixed number of rounds: one look with the whole rate.
/// let mut looks = Looks::default();
/// looks.finish(15);
/// assert_eq!(looks.made()[0].share, 1.0);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Looks {
    made: Vec<Look>,
}

impl Looks {
    /// Adds a look after `rounds` rounds, with more to come.
    pub fn interim(&mut self, rounds: u32) {
        let share = SHARE.min(self.left());
        self.made.push(Look { rounds, share });
    }

    /// Adds the last look, which spends the rest. Its time may depend on the clock, but must not depend on the
    /// measurements.
    pub fn finish(&mut self, rounds: u32) {
        let share = self.left();
        self.made.push(Look { rounds, share });
    }

    /// The looks in order.
    pub fn made(&self) -> &[Look] {
        &self.made
    }

    fn left(&self) -> f64 {
        (1.0 - self.made.iter().map(|look| look.share).sum::<f64>()).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spending_never_exceeds_the_error_rate() {
        let mut looks = Looks::default();
        for rounds in LOOKS {
            looks.interim(rounds);
        }
        looks.finish(70);
        let spent: f64 = looks.made().iter().map(|look| look.share).sum();
        assert!((spent - 1.0).abs() < 1e-12, "{looks:?}");
        let mut early = Looks::default();
        early.interim(12);
        early.finish(15);
        assert_eq!(early.made()[1].share, 0.8);
    }
}
