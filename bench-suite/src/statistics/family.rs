//! Judges many comparisons together, look by look.

use super::holm::holm;
use super::resolution::{rounds_missing, rounds_to_reject};
use super::signed_rank::signed_rank;
use super::spending::{Look, Looks};
use super::student_t::student_t_interval;
use super::verdict::verdict_of;
use super::{LEVEL, RankTest, Series};
use crate::results::Verdict;

/// One comparison of a family.
#[derive(Clone, Debug, Default)]
pub struct Hypothesis {
    /// The logarithm of runtime / baseline in each round in which both were measured.
    pub differences: Series,
    /// The same for the A/A arm and its twin. A difference that is no larger than theirs is noise.
    pub noise: Series,
}

/// The state of one comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// The estimate of the log ratio; `None` without pairs.
    pub estimate: Option<f64>,
    /// The interval of the log ratio; `None` with fewer than two pairs.
    pub interval: Option<[f64; 2]>,
    /// The probability that the interval misses the truth.
    pub level: f64,
    /// True if the interval comes from the rank test. False if there are too few pairs for the test, and it is
    /// Student's.
    pub exact: bool,
    /// The two-sided p value for no difference.
    pub p_value: Option<f64>,
    /// The number of pairs.
    pub pairs: u32,
    /// The verdict.
    pub verdict: Verdict,
    /// About how many more rounds a verdict would take; `None` if there is one, or if it would take too many.
    pub more_rounds: Option<u32>,
}

/// The judgement of a single sample at the level [`LEVEL`], without a verdict.
pub fn interval_only(differences: &Series) -> Judgement {
    let values: Vec<f64> = differences.iter().map(|&(_, value)| value).collect();
    judgement(&values, signed_rank(&values).as_ref(), LEVEL)
}

/// Judges a family after all looks so far. The probability that any of its verdicts wrongly finds a difference is at
/// most [`LEVEL`].
///
/// A comparison that is decided at a look keeps its verdict and the figures of that look. A comparison that is found
/// different leaves its share of the error rate to the others (Holm). One that is found equal does not.
pub fn judge(family: &[Hypothesis], margin: f64, looks: &Looks) -> Vec<Judgement> {
    let mut judged: Vec<Judgement> = vec![judgement(&[], None, LEVEL); family.len()];
    let mut open: Vec<usize> = (0..family.len()).collect();
    let mut equal = 0;
    for look in looks.made() {
        let samples: Vec<Sample> = open
            .iter()
            .map(|&index| Sample::of(&family[index], *look))
            .collect();
        let p_values: Vec<f64> = samples.iter().map(Sample::p_value).collect();
        let tested = holm(&p_values, LEVEL * look.share, equal);
        let mut still_open = Vec::new();
        for ((index, sample), (_, level)) in open.into_iter().zip(samples).zip(tested) {
            judged[index] = sample.judge(margin, level);
            match judged[index].verdict {
                Verdict::Better | Verdict::Worse => {}
                Verdict::NoDifference => equal += 1,
                Verdict::NotEnoughData => still_open.push(index),
            }
        }
        open = still_open;
    }
    judged
}

/// The rounds of one comparison up to a look.
struct Sample {
    values: Vec<f64>,
    test: Option<RankTest>,
    noise: f64,
}

impl Sample {
    fn of(hypothesis: &Hypothesis, look: Look) -> Self {
        let before = |series: &Series| -> Vec<f64> {
            series
                .iter()
                .filter(|(round, _)| *round < look.rounds)
                .map(|&(_, value)| value)
                .collect()
        };
        let values = before(&hypothesis.differences);
        let noise = signed_rank(&before(&hypothesis.noise));
        Self {
            test: signed_rank(&values),
            noise: noise.map_or(0.0, |test| test.estimate().abs()),
            values,
        }
    }

    /// The p value for no difference; 1 if the difference is noise, so that it leaves nothing to the others.
    fn p_value(&self) -> f64 {
        match &self.test {
            Some(test) if test.estimate().abs() > self.noise => test.p_value(0.0),
            _ => 1.0,
        }
    }

    fn judge(&self, margin: f64, level: f64) -> Judgement {
        let mut judged = judgement(&self.values, self.test.as_ref(), level);
        let least = rounds_to_reject(level).saturating_sub(judged.pairs);
        let (Some(estimate), Some(interval)) = (judged.estimate, judged.interval) else {
            judged.more_rounds = Some(least);
            return judged;
        };
        if judged.exact {
            judged.verdict = verdict_of(estimate, interval, margin, self.noise);
        }
        if judged.verdict == Verdict::NotEnoughData {
            judged.more_rounds = rounds_missing(estimate, interval, margin, judged.pairs)
                .map(|rounds| rounds.max(least));
        }
        judged
    }
}

/// The figures of a sample, without a verdict.
fn judgement(values: &[f64], test: Option<&RankTest>, level: f64) -> Judgement {
    let exact = test.and_then(|test| test.interval(level));
    Judgement {
        estimate: test.map(RankTest::estimate),
        interval: exact.or_else(|| student_t_interval(values, LEVEL)),
        level: if exact.is_some() { level } else { LEVEL },
        exact: exact.is_some(),
        p_value: test.map(|test| test.p_value(0.0)),
        pairs: u32::try_from(values.len()).unwrap_or(u32::MAX),
        verdict: Verdict::NotEnoughData,
        more_rounds: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounds within `spread` of `centre`.
    fn around(centre: f64, spread: f64, rounds: u32) -> Hypothesis {
        let mut random = fastrand::Rng::with_seed(7);
        let differences = (0..rounds)
            .map(|round| (round, centre + (random.f64() - 0.5) * 2.0 * spread))
            .collect();
        Hypothesis {
            differences,
            noise: Series::new(),
        }
    }

    fn one_look(rounds: u32) -> Looks {
        let mut looks = Looks::default();
        looks.finish(rounds);
        looks
    }

    fn verdicts(family: &[Hypothesis], looks: &Looks) -> Vec<Verdict> {
        let judged = judge(family, 0.02, looks);
        judged.iter().map(|one| one.verdict).collect()
    }

    #[test]
    fn all_four_verdicts_are_given() {
        let family = [
            around(-0.3, 0.05, 12),
            around(0.3, 0.05, 12),
            around(0.0, 0.01, 12),
            around(0.0, 0.3, 12),
        ];
        let judged = judge(&family, 0.02, &one_look(12));
        let verdicts: Vec<Verdict> = judged.iter().map(|one| one.verdict).collect();
        assert_eq!(
            verdicts,
            [
                Verdict::Better,
                Verdict::Worse,
                Verdict::NoDifference,
                Verdict::NotEnoughData
            ]
        );
        assert!(judged[3].more_rounds > Some(12) && judged[0].more_rounds.is_none());
    }

    #[test]
    fn a_comparison_that_a_sample_cannot_decide_stays_open() {
        // 2 / 2^8 is more than a tenth of a twentieth.
        let family = vec![around(1.0, 0.01, 8); 10];
        let judged = judge(&family, 0.02, &one_look(8));
        assert!(judged.iter().all(|one| !one.exact
            && one.verdict == Verdict::NotEnoughData
            && one.more_rounds == Some(1)));
        assert_eq!(verdicts(&family[..4], &one_look(8)), [Verdict::Worse; 4]);
    }

    #[test]
    fn without_a_look_before_it_the_last_one_has_the_whole_rate() {
        // Four arms make six pairs, each in two metrics: 2 / 2^9 is less than a twelfth of a twentieth, and 2 / 2^8 is
        // not.
        let family = |rounds| vec![around(6.95, 0.01, rounds); 12];
        assert_eq!(verdicts(&family(9), &one_look(9)), [Verdict::Worse; 12]);
        let judged = judge(&family(8), 0.02, &one_look(8));
        assert!(
            judged
                .iter()
                .all(|one| one.verdict == Verdict::NotEnoughData && one.more_rounds == Some(1))
        );
        // An earlier look spends a fifth of the rate. Nine rounds are too few for that look, and enough for the last
        // one.
        let mut looks = Looks::default();
        looks.interim(9);
        assert_eq!(verdicts(&family(9), &looks), [Verdict::NotEnoughData; 12]);
        looks.finish(10);
        assert_eq!(verdicts(&family(10), &looks), [Verdict::Worse; 12]);
    }

    #[test]
    fn one_round_has_no_interval_and_says_how_many_it_takes() {
        let judged = judge(&[around(0.5, 0.1, 1)], 0.02, &one_look(1));
        assert_eq!((judged[0].interval, judged[0].more_rounds), (None, Some(5)));
    }

    #[test]
    fn a_difference_within_the_noise_is_not_reported() {
        let mut hypothesis = around(0.1, 0.02, 12);
        assert_eq!(
            verdicts(&[hypothesis.clone()], &one_look(12)),
            [Verdict::Worse]
        );
        hypothesis.noise = around(0.2, 0.01, 12).differences;
        assert_eq!(
            verdicts(&[hypothesis], &one_look(12)),
            [Verdict::NotEnoughData]
        );
    }

    #[test]
    fn decided_comparisons_stay_decided_and_the_rest_is_tested_again() {
        let mut changed = around(0.3, 0.05, 24);
        for (round, value) in &mut changed.differences {
            if *round >= 12 {
                *value = -*value;
            }
        }
        let family = [changed, around(0.06, 0.1, 24)];
        let mut looks = Looks::default();
        looks.interim(12);
        assert_eq!(
            verdicts(&family, &looks),
            [Verdict::Worse, Verdict::NotEnoughData]
        );
        looks.finish(24);
        let judged = judge(&family, 0.02, &looks);
        assert_eq!((judged[0].verdict, judged[0].pairs), (Verdict::Worse, 12));
        assert_eq!((judged[1].verdict, judged[1].pairs), (Verdict::Worse, 24));
        // The other hypothesis was rejected, so this one gets the rest of the rate at the last look.
        assert!((judged[1].level - LEVEL * 0.8).abs() < 1e-12);
    }

    #[test]
    fn an_interval_leaves_out_1_exactly_where_the_test_rejects() {
        let mut random = fastrand::Rng::with_seed(8);
        for _ in 0..200 {
            let family: Vec<Hypothesis> = (0..4)
                .map(|_| around(random.f64() * 0.1 - 0.05, 0.08, 14))
                .collect();
            for one in judge(&family, 1e-9, &one_look(14)) {
                let [low, high] = one.interval.unwrap();
                let excluded = low > 0.0 || high < 0.0;
                assert_eq!(excluded, one.p_value.unwrap() <= one.level, "{one:?}");
                assert_eq!(excluded, one.verdict != Verdict::NotEnoughData);
            }
        }
    }
}
