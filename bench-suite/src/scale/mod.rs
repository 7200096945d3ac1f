//! `lab scale`: measures the gain from more workers.
//!
//! In each round every runtime runs every workload with each number of workers, in an order drawn from the seed.
//! Speed-up is the ratio of rates within a round, so slow drift cancels out.

mod law;
mod measured;
mod table;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cli::ScaleArgs;
use crate::compare::interruption::Interruption;
use crate::compare::process;
use crate::compare::protocol::{PROTOCOL, Request};
use crate::environment;
use crate::error::{CommandError, usage};
use crate::output::Output;
use crate::provenance::Build;
use crate::registry::{Registry, Workload};
use crate::statistics::{self, Series};
use crate::{suggest, terminal};

use measured::{Curve, Fitted, Measured, Point};

const SCHEMA: &str = "lab.scale/1";
const WORKLOADS: [&str; 3] = ["fib-spawn", "spawn-batch", "hash"];
const RUNTIMES: [&str; 2] = ["mn", "tokio-mt"];
const BUDGET: Duration = Duration::from_millis(300);
const LIMIT: Duration = Duration::from_secs(30);
const MAX_WORKERS: usize = 1024;
const MAX_ROUNDS: u32 = 1000;
/// Three numbers of workers would fit three parameters exactly, which says nothing about the fit.
const MIN_NUMBERS: usize = 4;
/// Repetitions of the bootstrap.
const DRAWS: usize = 1000;

/// Measures, and prints a table for each workload and runtime.
///
/// # Errors
/// [`CommandError::Usage`] for unknown names, [`CommandError::Failed`] if a process failed or the figures can't be
/// written, [`CommandError::Interrupted`] after a signal. In the last two cases, what was measured is still printed.
pub(crate) fn run(
    registry: &Registry,
    build: &Build,
    arguments: &ScaleArgs,
) -> Result<(), CommandError> {
    let cores = environment::cores();
    let workers = numbers(&arguments.workers, cores)?;
    if !(1..=MAX_ROUNDS).contains(&arguments.rounds) {
        let rounds = arguments.rounds;
        return Err(usage(format!(
            "--rounds {rounds} is out of range; 1 to {MAX_ROUNDS}"
        )));
    }
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let mut curves = curves(registry, arguments, &workers, cores)?;
    let json = arguments
        .json
        .as_deref()
        .map(|path| Output::prepare(path, "--json"));
    let json = json.transpose()?;
    let system = |error: std::io::Error| CommandError::Failed(format!("scale: {error}"));
    let interruption = Interruption::listen().map_err(system)?;
    let program = process::own_program().map_err(system)?;
    let say = |line: &str| {
        if !arguments.no_progress {
            terminal::say(line);
        }
    };
    say(&format!(
        "{} curves, {} rounds; seed {seed}",
        curves.len(),
        arguments.rounds
    ));
    let begun = environment::Instant::now();
    environment::warm_memory(1 << 30);
    environment::warm_processors(Duration::from_millis(300));
    let mut environment = environment::describe(seed, build);
    environment.conditions = Some(environment::before(begun));
    let mut random = fastrand::Rng::with_seed(seed);
    for round in 0..arguments.rounds {
        say(&format!("round {} of {}", round + 1, arguments.rounds));
        let all = 0..curves.len();
        let mut order: Vec<(usize, usize)> = all
            .flat_map(|curve| (0..workers.len()).map(move |point| (curve, point)))
            .collect();
        random.shuffle(&mut order);
        for (curve, point) in order {
            let curve = &mut curves[curve];
            if curve.error.is_some() || interruption.requested() {
                continue;
            }
            let request = request(curve, workers[point], seed.wrapping_add(u64::from(round)));
            let outcome = process::measure(&program, &request, LIMIT, &interruption);
            if interruption.requested() {
                continue;
            }
            match outcome {
                Ok(answer) => {
                    let sum = |of: fn(&crate::results::Sample) -> u64| {
                        answer.samples.iter().map(of).sum::<u64>() as f64
                    };
                    let (ops, wall_ns) = (sum(|one| one.ops), sum(|one| one.wall_ns));
                    if ops > 0.0 && wall_ns > 0.0 {
                        let cpu_ns = sum(|one| one.cpu_ns);
                        let rounds = &mut curve.points[point].rounds;
                        rounds.push((round, ops / wall_ns * 1e9, cpu_ns / ops));
                    }
                }
                Err((status, error)) => {
                    curve.error = Some(format!("{}: {error}", status.describe()));
                }
            }
        }
    }
    for curve in &mut curves {
        summarise(curve, cores, seed);
    }
    environment::after(&mut environment, begun);
    let measured = Measured {
        schema: SCHEMA,
        environment,
        curves,
    };
    finish(
        &measured,
        arguments,
        json.as_ref(),
        interruption.requested(),
    )
}

fn finish(
    measured: &Measured,
    arguments: &ScaleArgs,
    json: Option<&Output>,
    interrupted: bool,
) -> Result<(), CommandError> {
    let mut text = table::terminal(measured);
    let mut written = Ok(());
    if let (Some(path), Some(output)) = (&arguments.json, json) {
        let all = serde_json::to_string(measured).unwrap_or_default() + "\n";
        match output.write(all.as_bytes()) {
            Ok(()) => text.push_str(&format!("figures: {}\n", path.display())),
            Err(error) => {
                written = Err(CommandError::Failed(format!(
                    "cannot write {}: {error}; the figures are shown above",
                    path.display()
                )));
            }
        }
    }
    let printed = match json {
        Some(Output::Standard) => Ok(()),
        _ => terminal::print(&text),
    };
    written?;
    if interrupted {
        return Err(CommandError::Interrupted(
            "interrupted; what was measured is shown".to_owned(),
        ));
    }
    let failed = measured.curves.iter().find(|curve| curve.error.is_some());
    failed.map_or(printed, |curve| {
        let error = curve.error.as_deref().unwrap_or_default();
        Err(CommandError::Failed(format!(
            "{} under {}: {error}; all other figures are kept",
            curve.workload, curve.runtime
        )))
    })
}

/// The numbers of workers, which always include 1.
fn numbers(asked: &[usize], cores: usize) -> Result<Vec<usize>, CommandError> {
    let mut numbers: Vec<usize> = if asked.is_empty() {
        // On a large machine, every number would be too many.
        let doubled = std::iter::successors(Some(1), |number| Some(number * 2));
        let mut numbers: Vec<usize> = doubled.take_while(|number| *number <= 2 * cores).collect();
        numbers.extend([
            cores.div_ceil(2),
            cores * 3 / 4,
            cores,
            cores + cores.div_ceil(2),
            2 * cores,
        ]);
        numbers
    } else {
        asked.to_vec()
    };
    if let Some(workers) = numbers.iter().find(|number| **number > MAX_WORKERS) {
        return Err(usage(format!(
            "--workers {workers} is out of range; 1 to {MAX_WORKERS}"
        )));
    }
    if asked.contains(&0) {
        return Err(usage(format!(
            "--workers 0 is out of range; 1 to {MAX_WORKERS}"
        )));
    }
    numbers.push(1);
    numbers.retain(|number| *number > 0);
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

fn curves(
    registry: &Registry,
    arguments: &ScaleArgs,
    workers: &[usize],
    cores: usize,
) -> Result<Vec<Curve>, CommandError> {
    let or = |asked: &[String], default: &[&str]| match asked {
        [] => default.iter().map(|name| (*name).to_owned()).collect(),
        some => some.to_vec(),
    };
    let mut curves = Vec::new();
    for name in or(&arguments.workloads, &WORKLOADS) {
        let known = registry.workloads.iter().map(|workload| workload.name);
        let workload = registry.workload(&name);
        let workload = workload.ok_or_else(|| usage(suggest::unknown("workload", &name, known)))?;
        for runtime in or(&arguments.runtimes, &RUNTIMES) {
            let known = registry.runtimes.iter().map(|info| info.name);
            if registry.runtime(&runtime).is_none() {
                return Err(usage(suggest::unknown("runtime", &runtime, known)));
            }
            if registry.entry(&name, &runtime).is_none() {
                continue;
            }
            curves.push(Curve {
                workload: name.clone(),
                params: parameters(workload, arguments.size)?,
                runtime,
                points: workers
                    .iter()
                    .map(|&workers| Point {
                        workers,
                        oversubscribed: workers > cores,
                        rate_per_s: None,
                        speed_up: None,
                        speed_up_ci95: None,
                        efficiency: None,
                        cpu_ns_per_op: None,
                        rounds: Vec::new(),
                    })
                    .collect(),
                law: None,
                error: None,
            });
        }
    }
    if curves.is_empty() {
        return Err(usage(
            "none of the chosen runtimes has any of the chosen workloads; `lab list` shows the pairs".to_owned(),
        ));
    }
    Ok(curves)
}

fn parameters(
    workload: &Workload,
    size: Option<u64>,
) -> Result<BTreeMap<String, u64>, CommandError> {
    let parameters = workload.parameters.iter();
    parameters
        .map(|parameter| {
            let value = size
                .filter(|_| parameter.name == "size")
                .unwrap_or(parameter.default);
            if !(parameter.min..=parameter.max).contains(&value) {
                let (min, max) = (parameter.min, parameter.max);
                let name = workload.name;
                return Err(usage(format!(
                    "--size {value} is out of range for {name}; {min} to {max}"
                )));
            }
            Ok((parameter.name.to_owned(), value))
        })
        .collect()
}

fn request(curve: &Curve, workers: usize, seed: u64) -> Request {
    Request {
        protocol: PROTOCOL.to_owned(),
        workload: curve.workload.clone(),
        runtime: curve.runtime.clone(),
        workers,
        policy: None,
        knobs: BTreeMap::new(),
        without: std::collections::BTreeSet::new(),
        reactor: None,
        budget_ns: u64::try_from(BUDGET.as_nanos()).unwrap_or(u64::MAX),
        seed,
        params: curve.params.clone(),
        slowdown: None,
        aside: None,
    }
}

fn summarise(curve: &mut Curve, cores: usize, seed: u64) {
    let alone: BTreeMap<u32, f64> = curve
        .points
        .iter()
        .filter(|point| point.workers == 1)
        .flat_map(|point| point.rounds.iter().map(|&(round, rate, _)| (round, rate)))
        .collect();
    for point in &mut curve.points {
        let of = |value: fn(&(u32, f64, f64)) -> f64| {
            statistics::median(&point.rounds.iter().map(value).collect::<Vec<_>>())
        };
        point.rate_per_s = of(|round| round.1);
        point.cpu_ns_per_op = of(|round| round.2);
        let ratios: Series = point
            .rounds
            .iter()
            .filter_map(|(round, rate, _)| Some((*round, (rate / alone.get(round)?).ln())))
            .collect();
        let judged = statistics::interval_only(&ratios);
        point.speed_up = judged.estimate.map(f64::exp);
        point.speed_up_ci95 = judged.interval.map(|ends| ends.map(f64::exp));
        let used = point.workers.min(cores) as f64;
        point.efficiency = point.speed_up.map(|speed_up| speed_up / used);
    }
    curve.law = fitted(curve, seed);
}

/// The law through the points up to the number of cores, if there are enough of them; otherwise through all.
fn fitted(curve: &Curve, seed: u64) -> Option<Fitted> {
    let within = curve
        .points
        .iter()
        .filter(|point| !point.oversubscribed)
        .count();
    let oversubscribed = within < MIN_NUMBERS;
    let used: Vec<&Point> = curve
        .points
        .iter()
        .filter(|point| oversubscribed || !point.oversubscribed)
        .collect();
    if used.len() < MIN_NUMBERS {
        return None;
    }
    let mut rounds: BTreeMap<u32, Vec<(f64, f64)>> = BTreeMap::new();
    for point in used {
        for (round, rate, _) in &point.rounds {
            rounds
                .entry(*round)
                .or_default()
                .push((point.workers as f64, *rate));
        }
    }
    let rounds: Vec<Vec<(f64, f64)>> = rounds.into_values().collect();
    let law = law::fit(&rounds.concat())?;
    let intervals = law::intervals(&rounds, DRAWS, seed);
    Some(Fitted {
        lambda_per_s: law.lambda,
        sigma: law.sigma,
        sigma_ci95: intervals.map(|both| both[0]),
        kappa: law.kappa,
        kappa_ci95: intervals.map(|both| both[1]),
        most_workers: law.most_workers(),
        oversubscribed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(workers: &[usize], cores: usize, rate: impl Fn(f64, u32) -> f64) -> Curve {
        let points = workers.iter().map(|&workers| Point {
            workers,
            oversubscribed: workers > cores,
            rate_per_s: None,
            speed_up: None,
            speed_up_ci95: None,
            efficiency: None,
            cpu_ns_per_op: None,
            rounds: (0..8)
                .map(|round| (round, rate(workers as f64, round), 7.0))
                .collect(),
        });
        let mut curve = Curve {
            workload: "w".into(),
            params: BTreeMap::new(),
            runtime: "r".into(),
            points: points.collect(),
            law: None,
            error: None,
        };
        summarise(&mut curve, cores, 1);
        curve
    }

    #[test]
    fn a_drift_that_all_numbers_share_is_in_no_speed_up() {
        let drifting = |workers: f64, round: u32| workers.min(2.0) * f64::from(100 - round * 5);
        let curve = curve(&[1, 2, 4], 2, drifting);
        let speed_ups: Vec<f64> = curve
            .points
            .iter()
            .map(|point| point.speed_up.unwrap())
            .collect();
        assert!((speed_ups[1] - 2.0).abs() < 1e-9 && (speed_ups[2] - 2.0).abs() < 1e-9);
        let efficiency = curve.points[2].efficiency.unwrap();
        assert!(
            (efficiency - 1.0).abs() < 1e-9,
            "4 workers are on 2 cores: {efficiency}"
        );
        assert!(curve.points[2].oversubscribed && !curve.points[1].oversubscribed);
        assert_eq!(curve.points[0].cpu_ns_per_op, Some(7.0));
        assert!(curve.law.is_none(), "three numbers say nothing");
    }

    #[test]
    fn the_law_is_about_cores_where_they_are_enough_and_says_so_where_not() {
        let law = |workers: f64, _| 100.0 * workers / (1.0 + 0.1 * (workers - 1.0));
        let many = curve(&[1, 2, 3, 4, 8], 4, law).law.unwrap();
        assert!(
            !many.oversubscribed && (many.sigma - 0.1).abs() < 1e-6,
            "{many:?}"
        );
        assert!(many.sigma_ci95.is_some() && many.kappa < 1e-6);
        assert!(curve(&[1, 2, 3, 4], 2, law).law.unwrap().oversubscribed);
    }

    #[test]
    fn numbers_go_from_one_to_beyond_the_cores() {
        assert_eq!(numbers(&[], 2).unwrap(), [1, 2, 3, 4]);
        assert_eq!(numbers(&[], 1).unwrap(), [1, 2]);
        assert_eq!(numbers(&[], 8).unwrap(), [1, 2, 4, 6, 8, 12, 16]);
        assert_eq!(numbers(&[4, 2, 2], 2).unwrap(), [1, 2, 4]);
        assert!(numbers(&[0], 2).is_err() && numbers(&[5000], 2).is_err());
    }
}
