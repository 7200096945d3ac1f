//! When the data is looked at, and how much of the error rate each look may spend.
//!
//! Whoever looks again and again and stops at the first difference finds one where there is none. So the error rate is
//! shared out: each look may err in its share of it only, and all shares together are the whole. Whatever the looks
//! have to do with each other, the whole error is then no more than the whole rate (Bonferroni's inequality; the group
//! sequential tests of Maurer and Bretz, 2013, with a spending function in steps). Wherever a comparison stops, its
//! interval therefore still covers the truth as often as it says.

/// Rounds after which an adaptive run looks: enough for the first look to decide at a level of a thousandth, then about
/// 1.5 times as many each time.
pub const LOOKS: [u32; 5] = [12, 18, 27, 40, 60];

/// The share of the error rate that a look spends if it is not the last one.
const SHARE: f64 = 0.2;

/// A look at the data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// Rounds before this one count: each pair has at most so many.
    pub rounds: u32,
    /// Its share of the error rate.
    pub share: f64,
}

/// The looks that were made so far, of those that there may be.
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
    /// A look after `rounds` rounds, with more to come.
    pub fn interim(&mut self, rounds: u32) {
        let share = SHARE.min(self.left());
        self.made.push(Look { rounds, share });
    }

    /// The last look: it spends what is left. When it comes may depend on the clock, and must not depend on what was
    /// measured.
    pub fn finish(&mut self, rounds: u32) {
        let share = self.left();
        self.made.push(Look { rounds, share });
    }

    /// In the order in which they were made.
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
    fn no_more_is_spent_than_there_is() {
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
