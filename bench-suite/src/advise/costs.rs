//! The models' costs at a rate that all of them sustain.

use super::known::Known;
use crate::answer::Model;
use crate::latency::P99;
use crate::results::{Comparison, Role, Verdict};
use crate::units;

const CPU: &str = "cpu_ns_per_op";

/// Latency, CPU time and memory at the common rate.
pub(super) fn costs(known: &[Known], comparisons: &[Comparison], rate: u64) -> Vec<String> {
    let each = known.iter().map(|one| {
        let figure = |value: Option<f64>, show: fn(f64) -> String| {
            value.map_or_else(|| "unknown".to_owned(), show)
        };
        format!(
            "{} p99 {}, {} CPU per request, {}",
            one.model.name(),
            figure(one.p99_ns, units::duration_ns),
            figure(one.cpu_ns, units::duration_ns),
            figure(one.rss_bytes, units::bytes)
        )
    });
    let mut said = vec![format!(
        "At {}/s, which every model with a known capacity sustains: {}.",
        units::rate(rate as f64),
        each.collect::<Vec<_>>().join("; ")
    )];
    for (metric, title) in [(P99, "p99 latency"), (CPU, "CPU time")] {
        let judged = comparisons
            .iter()
            .filter(|one| one.metric == metric && one.role == Role::Arm);
        let judged: Vec<String> = judged
            .filter_map(|one| {
                let name = |runtime: &str| {
                    let model = Model::ALL
                        .into_iter()
                        .find(|model| model.runtime() == runtime);
                    model.map(Model::name)
                };
                let verdict = match one.verdict? {
                    Verdict::NoDifference => {
                        format!("no difference beyond {}", units::percent(one.margin?))
                    }
                    verdict => verdict.to_string(),
                };
                Some(format!(
                    "{} {} of {}'s, {verdict}",
                    name(&one.runtime)?,
                    units::ratio(one.ratio, one.ci95),
                    name(&one.baseline)?
                ))
            })
            .collect();
        if !judged.is_empty() {
            said.push(format!("At that rate, {title}: {}.", judged.join("; ")));
        }
    }
    said
}
