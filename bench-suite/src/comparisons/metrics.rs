//! The metrics of comparisons: which one a table shows, which must not get a verdict, and an arm's values.

use super::arm_key::ArmKey;
use crate::results::Run;
use crate::statistics::Series;

/// Flags that mean that time depends more on the client or the machine than on the runtime.
const NO_TIME_VERDICT: [&str; 2] = ["client_bound", "shares_cores"];
pub(super) const TIME: &str = "wall_ns_per_op";
pub(super) const CPU: &str = "cpu_ns_per_op";

/// The flag that rules out a verdict on `metric`, if there is one.
pub(super) fn withholding_flag<'a>(metric: &str, runs: &[&'a Run]) -> Option<&'a str> {
    if metric != TIME {
        return None;
    }
    runs.iter()
        .flat_map(|run| run.flags.iter())
        .find(|flag| NO_TIME_VERDICT.contains(&flag.as_str()))
        .map(String::as_str)
}

/// The metric that the table shows: the workload's own, or CPU time where wall time must not be judged.
pub(crate) fn headline<'a>(metric: &'a str, runs: &[&Run]) -> &'a str {
    if withholding_flag(metric, runs).is_some() {
        CPU
    } else {
        metric
    }
}

/// The logarithms of an arm's values, by round.
pub(super) fn series(runs: &[&Run], key: &ArmKey, metric: &str) -> Series {
    let mut series: Series = runs
        .iter()
        .filter(|run| ArmKey::of(run) == *key)
        .filter_map(|run| Some((run.round, run.value(metric)?.ln())))
        .filter(|(_, log)| log.is_finite())
        .collect();
    series.sort_by_key(|one| one.0);
    series
}
