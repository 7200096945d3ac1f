#![doc = include_str!("README.md")]

mod change;
mod costs;
mod questions;
mod words;

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use crate::cli::{AdviseArgs, CompareArgs};
use crate::compare::effort::Effort;
use crate::compare::outputs::Outputs;
use crate::compare::plan::{Asked, Plan};
use crate::compare::{Bench, Counting};
use crate::error::{CommandError, usage};
use crate::latency::{P99, Sought, at_rate, capacities, duration_at, without_rate};
use crate::provenance::Build;
use crate::registry::Registry;
use crate::results::{Advice, Capacity};
use crate::terminal;

/// The workload that is the mix.
const WORKLOAD: &str = "service";
/// The models.
const MODELS: [&str; 3] = ["n1", "mn", "threads"];
/// Of the smallest capacity: where costs are compared.
const AT: f64 = 0.6;

/// What somebody's service does.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Mix {
    connections: u64,
    wait_us: u64,
    cpu_us: u64,
    /// Of the requests, from 0 to 1.
    blocking: f64,
    block_us: u64,
    p99_ms: f64,
}

impl Default for Mix {
    fn default() -> Self {
        Self {
            connections: 64,
            wait_us: 500,
            cpu_us: 50,
            blocking: 0.0,
            block_us: 1_000,
            p99_ms: 10.0,
        }
    }
}

impl Mix {
    /// What the flags say, and the usual for the rest.
    ///
    /// # Errors
    /// [`CommandError::Usage`] for a share that is none.
    fn of(arguments: &AdviseArgs) -> Result<Self, CommandError> {
        let usual = Self::default();
        let blocking = arguments.blocking.as_deref().map(share).transpose();
        let mix = Self {
            connections: arguments.connections.unwrap_or(usual.connections),
            wait_us: arguments.wait_us.unwrap_or(usual.wait_us),
            cpu_us: arguments.cpu_us.unwrap_or(usual.cpu_us),
            blocking: blocking
                .map_err(|why| usage(format!("--blocking {why}")))?
                .unwrap_or(usual.blocking),
            block_us: arguments.block_us.unwrap_or(usual.block_us),
            p99_ms: arguments.p99_ms.unwrap_or(usual.p99_ms),
        };
        let least_ms = (mix.wait_us + mix.cpu_us) as f64 / 1e3;
        if mix.p99_ms <= least_ms {
            return Err(usage(format!(
                "--p99-ms {}: a request alone waits and computes for {least_ms} ms; take a longer target or less work",
                mix.p99_ms
            )));
        }
        Ok(mix)
    }

    /// As values of the workload's parameters, for `--param`.
    fn params(&self) -> Vec<String> {
        [
            ("connections", self.connections),
            ("wait_us", self.wait_us),
            ("cpu_us", self.cpu_us),
            ("block_percent", (self.blocking * 100.0).round() as u64),
            ("block_us", self.block_us),
        ]
        .map(|(name, value)| format!("{name}={value}"))
        .to_vec()
    }
}

/// `0.05` or `5%`, as a share of all.
fn share(text: &str) -> Result<f64, String> {
    let (number, scale) = match text.trim().strip_suffix('%') {
        Some(number) => (number, 0.01),
        None => (text, 1.0),
    };
    let share = number.trim().parse::<f64>().map(|number| number * scale);
    match share {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err(format!(
            "{}: expected a share of the requests from 0 to 1, or a percentage such as 5%",
            text.escape_debug()
        )),
    }
}

/// `lab advise`: measures the mix under the three models and says which to take.
///
/// # Errors
/// Those of `lab compare`.
pub(crate) fn run(
    registry: &Registry,
    build: &Build,
    arguments: &AdviseArgs,
) -> Result<(), CommandError> {
    let silent = arguments.no_progress;
    let asks = arguments.says_nothing() && io::stdin().is_terminal() && io::stderr().is_terminal();
    let mix = if asks {
        questions::ask(&mut io::stdin().lock(), &mut io::stderr())?
    } else {
        Mix::of(arguments)?
    };
    let sought = Sought::new(mix.p99_ms, 1, arguments.quick)?;
    let comparison = CompareArgs {
        workloads: vec![WORKLOAD.to_owned()],
        runtimes: MODELS.map(str::to_owned).to_vec(),
        workers: arguments.workers,
        params: mix.params(),
        seed: arguments.seed,
        ..CompareArgs::default()
    };
    let mut plan = Plan::new(registry, &Asked::from(&comparison))?;
    for cell in &mut plan.cells {
        cell.workload.metric = P99;
    }
    let outputs = Outputs::prepare(arguments.out.clone(), arguments.json.clone(), None)?;
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

/// A rate that all carry which carry any, in requests a second: there costs are compared. `None` if none carries any.
fn common_rate(capacities: &[Capacity]) -> Option<u64> {
    let known = capacities.iter().filter_map(|one| {
        let kept = one.probes.iter().filter(|probe| probe.kept == Some(true));
        // What the client was in the way of is known to carry something, too.
        let most = kept.map(|probe| probe.offered_per_s).fold(0.0, f64::max);
        one.per_s.or(Some(most)).filter(|rate| *rate > 0.0)
    });
    let smallest = known.fold(f64::INFINITY, f64::min);
    smallest
        .is_finite()
        .then(|| ((smallest * AT).round() as u64).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::CapacityProbe;

    #[test]
    fn a_share_is_a_number_or_a_percentage() {
        assert_eq!((share("0.05"), share("5%")), (Ok(0.05), Ok(0.05)));
        assert_eq!((share("1"), share(" 100 %")), (Ok(1.0), Ok(1.0)));
        for bad in ["5", "-0.1", "many", "", "nan", "120%"] {
            assert!(share(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_target_that_a_request_alone_misses_is_refused() {
        let arguments = AdviseArgs {
            cpu_us: Some(20_000),
            ..AdviseArgs::default()
        };
        let error = Mix::of(&arguments).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("20.5 ms"), "{error}");
    }

    #[test]
    fn costs_are_compared_where_all_keep_the_target_that_ever_do() {
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
