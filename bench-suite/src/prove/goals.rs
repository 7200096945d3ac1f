//! The lab's goals, and whether the counts contradict them.

use crate::results::{Goal, Real, Share, Simulated};
use crate::statistics::proportion_interval;

/// The exact 95% interval of a rate.
pub(super) fn interval(share: Share) -> [f64; 2] {
    proportion_interval(share.happened, share.of).unwrap_or([0.0, 1.0])
}

/// The goals. An error rate should be at most 5%. A goal is missed only if the exact 95% interval of the rate lies
/// beyond it, because small counts say little. Only a `powerful` run must also find true differences.
pub(super) fn goals(simulated: &[Simulated], real: Option<&Real>, powerful: bool) -> Vec<Goal> {
    let all = |share: fn(&Simulated) -> Share| {
        simulated
            .iter()
            .map(share)
            .fold(Share::default(), Share::plus)
    };
    let at_most = |goal: &str, share: Share, most: f64| Goal {
        goal: goal.to_owned(),
        share,
        met: interval(share)[0] <= most,
    };
    let at_least = |goal: &str, share: Share, least: f64| Goal {
        goal: goal.to_owned(),
        share,
        met: interval(share)[1] >= least,
    };
    let mut goals = vec![
        at_least(
            "simulated intervals hold the truth, at least 95%",
            all(|one| one.covered),
            0.95,
        ),
        at_most(
            "simulated tables with a false difference, at most 5%",
            all(|one| one.false_difference),
            0.05,
        ),
        at_most(
            "simulated false \"no difference\", at most 5%",
            all(|one| one.false_no_difference),
            0.05,
        ),
    ];
    if let Some(real) = real {
        goals.push(at_most(
            "real A/A comparisons said to differ, at most 5%",
            real.false_difference,
            0.05,
        ));
        let at = |percent: f64| real.power.iter().find(|one| one.percent == percent);
        if let Some(power) = at(3.0).filter(|_| powerful) {
            goals.push(at_least(
                "real slowdowns of 3% found, at least 90%",
                power.different,
                0.9,
            ));
        }
        let beyond = real.power.iter().filter(|one| one.percent >= 3.0);
        let equal = beyond
            .map(|one| one.equal)
            .fold(Share::default(), Share::plus);
        goals.push(at_most(
            "real false \"no difference\", at most 5%",
            equal,
            0.05,
        ));
    }
    goals
}
