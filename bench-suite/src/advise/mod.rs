#![doc = include_str!("README.md")]

mod change;
mod costs;
mod known;
mod mix;
mod questions;
mod words;

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use crate::cli::{AdviseArgs, ArmArgs, CompareArgs};
use crate::compare::effort::Effort;
use crate::compare::outputs::Outputs;
use crate::compare::plan::{Asked, Plan};
use crate::compare::{Bench, Counting};
use crate::error::CommandError;
use crate::latency::{P99, Sought, at_rate, capacities, duration_at, without_rate};
use crate::provenance::Build;
use crate::registry::Registry;
use crate::results::{Advice, Capacity};
use crate::terminal;

use mix::Mix;

/// The workload that models the mix.
const WORKLOAD: &str = "service";
const MODELS: [&str; 3] = ["n1", "mn", "threads"];
/// Costs are compared at this share of the smallest capacity.
const COMPARED_LOAD: f64 = 0.6;

/// `lab advise`: measures the mix under the three models and recommends one.
///
/// # Errors
/// Those of `lab compare`.
pub(crate) fn run(
    registry: &Registry,
    build: &Build,
    arguments: &AdviseArgs,
) -> Result<(), CommandError> {
    let silent = arguments.keep.no_progress;
    let asks = arguments.says_nothing() && io::stdin().is_terminal() && io::stderr().is_terminal();
    let mix = if asks {
        questions::ask(&mut io::stdin().lock(), &mut io::stderr())?
    } else {
        Mix::of(arguments)?
    };
    let sought = Sought::new(mix.p99_ms, 1, arguments.quick)?;
    let comparison = CompareArgs {
        workloads: vec![WORKLOAD.to_owned()],
        arms: ArmArgs {
            runtimes: MODELS.map(str::to_owned).to_vec(),
            workers: arguments.workers,
            params: mix.params(),
            ..ArmArgs::default()
        },
        keep: arguments.keep.clone(),
        ..CompareArgs::default()
    };
    let mut plan = Plan::new(registry, &Asked::from(&comparison))?;
    for cell in &mut plan.cells {
        cell.workload.metric = P99;
    }
    let outputs = Outputs::prepare(
        arguments.keep.out.clone(),
        arguments.keep.json.clone(),
        None,
    )?;
    let bench = Bench::prepare(silent)?;
    if !silent {
        terminal::say(&format!("measuring this mix: {}", words::mix(&mix)));
    }
    let mut results = bench.describe(&plan, build, &outputs)?;
    results.capacities = capacities(&bench, &plan, 0, &sought, &mut results.notes);
    let rate = common_rate(&results.capacities);
    if let Some(rate) = rate.filter(|_| !bench.interrupted()) {
        let usual = Duration::from_millis(300);
        let effort = Effort {
            time_box: Some(Duration::from_secs(40)),
            budget: usual,
            ..Effort::of_latency(arguments.quick, None, 1)
        };
        plan.effort = effort.with_budget(duration_at(rate, usual).min(4 * usual));
        let cell = &mut plan.cells[0];
        cell.params = at_rate(&cell.params, rate, duration_at(rate, plan.effort.budget));
        bench.measure(&plan, &outputs, Counting::default(), &mut results)?;
    }
    let (runtime, said) = words::advice(&results, &mix, rate);
    results.advice = Some(Advice {
        mix: without_rate(&plan.cells[0].params),
        p99_target_ns: mix.p99_ms * 1e6,
        runtime,
        said,
    });
    bench.conclude(&plan, &outputs, &results)
}

/// The rate at which costs are compared, in requests per second: one that every model sustains, apart from models that
/// sustain none. `None` if no model sustains any.
fn common_rate(capacities: &[Capacity]) -> Option<u64> {
    let known = capacities.iter().filter_map(|one| {
        let kept = one.probes.iter().filter(|probe| probe.kept == Some(true));
        // If the client limited the search, the largest rate that was kept is still known.
        let most = kept.map(|probe| probe.offered_per_s).fold(0.0, f64::max);
        one.per_s.or(Some(most)).filter(|rate| *rate > 0.0)
    });
    let smallest = known.fold(f64::INFINITY, f64::min);
    smallest
        .is_finite()
        .then(|| ((smallest * COMPARED_LOAD).round() as u64).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::CapacityProbe;

    #[test]
    fn a_target_that_a_single_request_misses_is_refused() {
        let arguments = AdviseArgs {
            cpu_us: Some(20_000),
            ..AdviseArgs::default()
        };
        let error = Mix::of(&arguments).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("20.5 ms"), "{error}");
    }

    #[test]
    fn costs_are_compared_at_a_rate_that_all_capable_models_sustain() {
        let capacity = |per_s: Option<f64>, kept: Option<bool>| Capacity {
            per_s,
            probes: vec![CapacityProbe {
                offered_per_s: 500.0,
                kept,
                ..CapacityProbe::default()
            }],
            ..Capacity::default()
        };
        let hopeless = capacity(None, Some(false));
        let late = capacity(None, Some(true));
        let known = capacity(Some(2000.0), Some(true));
        assert_eq!(common_rate(&[hopeless.clone(), known.clone()]), Some(1200));
        assert_eq!(common_rate(&[hopeless.clone(), known, late]), Some(300));
        assert_eq!(common_rate(&[hopeless]), None);
    }
}
