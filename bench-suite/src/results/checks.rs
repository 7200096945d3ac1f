//! Values that no measurement can produce. A file that contains them is damaged, or not from the lab.

use super::{Comparison, Family, Results, Run};

/// Three years, in nanoseconds.
const MAX_NS: u64 = 100_000_000_000_000_000;
/// An exbibyte.
const MAX_BYTES: u64 = 1 << 60;
const MAX_OPS: u64 = 1 << 60;
const MAX_ROUNDS: u32 = 1_000_000;

/// The first absurd value, in words; `None` if there is none.
pub(super) fn absurd(results: &Results) -> Option<String> {
    let runs = results.runs.iter().enumerate().find_map(|(index, run)| {
        run_is_absurd(run).map(|what| {
            format!(
                "run {index} ({} under {}): {what}",
                run.workload, run.runtime
            )
        })
    });
    let families = || {
        let families = results.families.iter().enumerate();
        families
            .filter_map(|(index, one)| {
                let what = family_is_absurd(one)?;
                Some(format!("family {index} ({}): {what}", one.workload))
            })
            .next()
    };
    runs.or_else(families).or_else(|| {
        let comparisons = results.comparisons.iter().enumerate();
        comparisons
            .filter_map(|(index, one)| {
                let what = comparison_is_absurd(one)?;
                Some(format!(
                    "comparison {index} ({} under {}): {what}",
                    one.workload, one.runtime
                ))
            })
            .next()
    })
}

fn run_is_absurd(run: &Run) -> Option<String> {
    if run.round >= MAX_ROUNDS {
        return Some(format!("round is {}", run.round));
    }
    let late = run.client_late_ns;
    let latency = run.latency_ns;
    let times = [
        ("wall_ns", run.wall_ns),
        ("cpu_ns", run.cpu_ns),
        ("cpu_user_ns", run.cpu_user_ns),
        ("cpu_system_ns", run.cpu_system_ns),
        ("client_cpu_ns", run.client_cpu_ns),
        ("client_late_ns.p99", late.map(|late| late.p99)),
        ("latency_ns.max", latency.map(|latency| latency.max)),
    ];
    let limits = times
        .into_iter()
        .map(|(name, value)| (name, value, MAX_NS))
        .chain([
            ("peak_rss_bytes", run.peak_rss_bytes, MAX_BYTES),
            ("ops", run.ops, MAX_OPS),
            ("voluntary_switches", run.voluntary_switches, MAX_OPS),
            ("involuntary_switches", run.involuntary_switches, MAX_OPS),
            ("page_faults", run.page_faults, MAX_OPS),
        ]);
    for (name, value, most) in limits {
        if let Some(value) = value.filter(|value| *value > most) {
            return Some(format!("{name} is {value}"));
        }
    }
    // Unknown values must be null, and operations take time.
    if run.wall_ns == Some(0) && run.ops.is_some_and(|ops| ops > 0) {
        return Some("wall_ns is 0".to_owned());
    }
    if let Some(one) = latency {
        let ascending = [one.p50, one.p90, one.p99, one.p999, one.max];
        if !ascending.is_sorted() {
            return Some("percentiles in latency_ns do not ascend".to_owned());
        }
    }
    let absurd = run.extra.iter().find(|(name, value)| {
        !value.is_finite() || (name.as_str() == "bytes_per_task" && **value < 0.0)
    });
    absurd.map(|(name, value)| format!("extra.{name} is {value}"))
}

fn family_is_absurd(one: &Family) -> Option<String> {
    if !(one.margin.is_finite() && one.margin > 0.0) {
        return Some(format!("margin is {}", one.margin));
    }
    let shares = one.looks.iter().flatten().map(|look| look.share);
    // Together, the looks spend the error rate exactly once.
    let spent: f64 = shares.clone().sum();
    let bad = shares.clone().any(|share| !(0.0..=1.0).contains(&share)) || spent > 1.0 + 1e-6;
    bad.then(|| format!("its looks spend {spent} of the error rate"))
}

fn comparison_is_absurd(one: &Comparison) -> Option<String> {
    let positive = |value: f64| value.is_finite() && value > 0.0;
    let share = |value: f64| (0.0..=1.0).contains(&value);
    if let Some(ratio) = one.ratio.filter(|ratio| !positive(*ratio)) {
        return Some(format!("ratio is {ratio}"));
    }
    if let Some([low, high]) = one.ci95
        && !(positive(low) && positive(high) && low <= high)
    {
        return Some(format!("ci95 is [{low}, {high}]"));
    }
    if let Some(floor) = one
        .noise_floor
        .filter(|floor| !(floor.is_finite() && *floor >= 0.0))
    {
        return Some(format!("noise_floor is {floor}"));
    }
    for (name, value) in [("level", one.level), ("p_value", one.p_value)] {
        if let Some(value) = value.filter(|value| !share(*value)) {
            return Some(format!("{name} is {value}"));
        }
    }
    let margin = one.margin.filter(|margin| !positive(*margin));
    margin.map(|margin| format!("margin is {margin}"))
}
