//! The advice in words.

use super::change::change;
use super::costs::costs;
use super::known::Known;
use super::mix::Mix;
use crate::answer::Model;
use crate::latency::P99;
use crate::results::{Capacity, Comparison, Results, Role, Verdict};
use crate::statistics::median;
use crate::units;

const CPU: &str = "cpu_ns_per_op";

/// The mix, in one line.
pub(super) fn mix(mix: &Mix) -> String {
    let blocking = if mix.blocking > 0.0 {
        format!(
            ", {} of requests block for {}",
            units::percent(mix.blocking),
            micros(mix.block_us)
        )
    } else {
        ", none blocks".to_owned()
    };
    format!(
        "{} connections, a request waits {} and computes {}{blocking}, p99 <= {}",
        mix.connections,
        micros(mix.wait_us),
        micros(mix.cpu_us),
        units::duration_ns(mix.p99_ms * 1e6)
    )
}

fn micros(micros: u64) -> String {
    units::duration_ns(micros as f64 * 1e3)
}

/// The runtime to take, and the sentences.
pub(super) fn advice(
    results: &Results,
    mix: &Mix,
    rate: Option<u64>,
) -> (Option<String>, Vec<String>) {
    let middle = |runtime: &str, metric: &str| {
        let runs = results.runs.iter();
        let runs = runs.filter(|run| run.runtime == runtime && run.role == Role::Arm);
        median(
            &runs
                .filter_map(|run| run.value(metric))
                .collect::<Vec<f64>>(),
        )
    };
    let known: Vec<Known> = results
        .capacities
        .iter()
        .filter_map(|capacity| {
            let model = Model::ALL
                .into_iter()
                .find(|model| model.runtime() == capacity.runtime)?;
            Some(Known {
                model,
                capacity,
                cpu_ns: middle(&capacity.runtime, CPU),
                p99_ns: middle(&capacity.runtime, P99),
                rss_bytes: middle(&capacity.runtime, "peak_rss_bytes"),
            })
        })
        .collect();
    let mut said = vec![format!("The mix: {}.", self::mix(mix))];
    let winner = winner(&known, &results.comparisons);
    match winner {
        Some(winner) => said.push(take(winner, &known)),
        None => said.push("No model's capacity is known, so none is recommended.".to_owned()),
    }
    for one in known.iter().filter(|one| one.capacity.per_s.is_none()) {
        let why = one
            .capacity
            .limit
            .as_deref()
            .unwrap_or("the search ended before it was known");
        said.push(format!("{}: {why}.", one.model.name()));
    }
    if let Some(rate) = rate {
        said.extend(costs(&known, &results.comparisons, rate));
    }
    if let Some(winner) = winner {
        said.push(format!(
            "What would change it: {}.",
            change(winner, &known, mix)
        ));
    }
    (winner.map(|one| one.model.runtime().to_owned()), said)
}

/// The model with the highest capacity. Among models with equal capacity, the one with the least CPU time.
fn winner<'a>(known: &'a [Known<'a>], comparisons: &[Comparison]) -> Option<&'a Known<'a>> {
    let most = |a: &&Known, b: &&Known| {
        let rate = |one: &Known| one.capacity.per_s.unwrap_or(0.0);
        rate(a).total_cmp(&rate(b))
    };
    let first = known
        .iter()
        .filter(|one| one.capacity.per_s.is_some())
        .max_by(most)?;
    let alike = known.iter().filter(|one| {
        one.capacity.verdict == Some(Verdict::NoDifference)
            && cheaper(one.model, first.model, comparisons)
    });
    let cheapest = alike.min_by(|a, b| {
        let cpu = |one: &Known| one.cpu_ns.unwrap_or(f64::INFINITY);
        cpu(a).total_cmp(&cpu(b))
    });
    Some(cheapest.unwrap_or(first))
}

/// Whether a verdict says that `one` takes less CPU time than `other`.
fn cheaper(one: Model, other: Model, comparisons: &[Comparison]) -> bool {
    comparisons.iter().any(|comparison| {
        let sides = (comparison.runtime.as_str(), comparison.baseline.as_str());
        comparison.metric == CPU
            && comparison.role == Role::Arm
            && ((sides == (one.runtime(), other.runtime())
                && comparison.verdict == Some(Verdict::Better))
                || (sides == (other.runtime(), one.runtime())
                    && comparison.verdict == Some(Verdict::Worse)))
    })
}

/// `Take M:N: it carries 12.4 k requests/s [...]; N:1 carries 5.10 k/s, 0.41x [0.39, 0.43], worse.`
fn take(winner: &Known, known: &[Known]) -> String {
    let rate = |capacity: &Capacity| {
        let per_s = capacity.per_s.map_or_else(|| "-".to_owned(), units::rate);
        match capacity.ci95 {
            Some([low, high]) => format!("{per_s}/s [{}, {}]", units::rate(low), units::rate(high)),
            None => format!("{per_s}/s"),
        }
    };
    let cost = match (winner.cpu_ns, winner.rss_bytes) {
        (Some(cpu), Some(bytes)) => format!(
            ", at {} CPU per request and {}",
            units::duration_ns(cpu),
            units::bytes(bytes)
        ),
        _ => String::new(),
    };
    let others = known
        .iter()
        .filter(|one| one.model != winner.model && one.capacity.per_s.is_some())
        .map(|one| {
            let verdict = match (one.capacity.verdict, one.capacity.ratio) {
                (Some(Verdict::NoDifference), _) => ", no difference beyond 5%".to_owned(),
                (Some(verdict), Some(ratio)) => format!(
                    ", {} of the most, {verdict}",
                    units::ratio(Some(ratio), one.capacity.ratio_ci95)
                ),
                _ => ", the most".to_owned(),
            };
            format!(
                "{} carries {}{verdict}",
                one.model.name(),
                rate(one.capacity)
            )
        });
    let others: Vec<String> = others.collect();
    let others = if others.is_empty() {
        String::new()
    } else {
        format!("; {}", others.join("; "))
    };
    // A model that the client limited may have a higher capacity.
    let all = known
        .iter()
        .all(|one| one.capacity.per_s.is_some() || is_hopeless(one.capacity));
    let take = if all {
        "Take"
    } else {
        "Of those whose capacity is known, take"
    };
    format!(
        "{take} {}: it carries {} within the target{cost}{others}.",
        winner.model.name(),
        rate(winner.capacity)
    )
}

/// Whether all probes missed the target, and not because the client was late.
fn is_hopeless(capacity: &Capacity) -> bool {
    capacity
        .probes
        .iter()
        .all(|probe| probe.kept == Some(false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparisons::tests::{among, run};
    use crate::comparisons::{Against, ArmKey, Baseline};
    use crate::results::Config;

    fn capacity(
        runtime: &str,
        rate: Option<f64>,
        ratio: Option<f64>,
        verdict: Option<Verdict>,
    ) -> Capacity {
        Capacity {
            workload: "service".into(),
            runtime: runtime.into(),
            per_s: rate,
            ci95: rate.map(|rate| [rate * 0.98, rate * 1.02]),
            ratio,
            verdict,
            limit: rate
                .is_none()
                .then(|| "no rate keeps it: at 90/s p99 is 60.0 ms".to_owned()),
            ..Capacity::default()
        }
    }

    /// Twelve rounds in which a request takes this much CPU time.
    fn results(capacities: Vec<Capacity>, cpu_ns: [u64; 3]) -> Results {
        let mut runs = Vec::new();
        for round in 0..12 {
            for (runtime, cpu_ns) in ["n1", "mn", "threads"].into_iter().zip(cpu_ns) {
                let mut run = run(runtime, Role::Arm, round, 20_000);
                run.cpu_ns = Some(cpu_ns + u64::from(round));
                runs.push(run);
            }
        }
        let key = |runtime: &str| ArmKey::new(runtime, &Config::default(), Role::Arm);
        let baseline = Baseline {
            key: key("mn"),
            of: Against::All,
        };
        Results {
            comparisons: among(&[baseline], &[], &runs, false),
            runs,
            capacities,
            ..Results::default()
        }
    }

    #[test]
    fn the_model_with_the_highest_capacity_is_advised_with_its_cost() {
        let capacities = vec![
            capacity("n1", Some(5_000.0), Some(0.5), Some(Verdict::Worse)),
            capacity("mn", Some(10_000.0), None, None),
            capacity("threads", None, None, None),
        ];
        let results = results(capacities, [40_000, 80_000, 90_000]);
        let (runtime, said) = advice(&results, &Mix::default(), Some(3000));
        assert_eq!(runtime.as_deref(), Some("mn"));
        let text = said.join("\n");
        for part in [
            "Take M:N: it carries 10.0 k/s [9.80 k, 10.2 k] within the target, at 8.00 µs CPU",
            "CPU per request and 4.00 KiB; N:1",
            "N:1 carries 5.00 k/s [4.90 k, 5.10 k], 0.500x of the most, worse",
            "1:1: no rate keeps it: at 90/s p99 is 60.0 ms.",
            "At that rate, CPU time: N:1 0.500x",
            "below 5.00 k/s N:1 keeps the target, too, for 0.500x of the CPU time",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn among_equal_capacities_the_model_with_less_cpu_time_is_advised() {
        let capacities = || {
            vec![
                capacity("n1", Some(9_900.0), Some(0.99), Some(Verdict::NoDifference)),
                capacity("mn", Some(10_000.0), None, None),
            ]
        };
        let (runtime, _) = advice(
            &results(capacities(), [40_000, 80_000, 90_000]),
            &Mix::default(),
            Some(1),
        );
        assert_eq!(runtime.as_deref(), Some("n1"));
        let (runtime, _) = advice(
            &results(capacities(), [80_000, 40_000, 90_000]),
            &Mix::default(),
            Some(1),
        );
        assert_eq!(runtime.as_deref(), Some("mn"));
    }

    #[test]
    fn without_a_capacity_no_model_is_advised_and_the_reason_is_given() {
        let none = ["n1", "mn", "threads"].map(|runtime| capacity(runtime, None, None, None));
        let results = Results {
            capacities: none.to_vec(),
            ..Results::default()
        };
        let (runtime, said) = advice(&results, &Mix::default(), None);
        assert_eq!(runtime, None);
        assert_eq!(
            said.iter()
                .filter(|line| line.contains("no rate keeps it"))
                .count(),
            3
        );
    }
}
