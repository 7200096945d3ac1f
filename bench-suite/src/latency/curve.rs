//! `lab latency`: chooses the rates, compares the arms at them, and measures the rest of each arm's curve.

use std::time::Duration;

use super::ask::{RATE, ask, at_rate, without_rate};
use super::probe::{Seen, duration_at, point};
use super::rates;
use crate::compare::outputs::Outputs;
use crate::compare::plan::{Cell, Plan};
use crate::compare::{Bench, Counting, announce};
use crate::comparisons::ArmKey;
use crate::error::CommandError;
use crate::results::{LoadCurve, LoadPoint, Results, Role};
use crate::statistics::median;

/// Processes for the closed loop that gives the rates, and for each additional point of a curve.
const EACH: u32 = 3;

/// The longest process of the comparison, for low rates.
const MAX_DURATION: Duration = Duration::from_secs(2);

/// Each arm's rate of answers in the closed loop, by its index in the cell.
type Answered = Vec<Option<f64>>;

/// Measures everything. The cells of `plan` are replaced by those at the compared rates.
///
/// # Errors
/// [`CommandError::Interrupted`] if nothing was measured; [`CommandError::Failed`] if no arm gave a figure.
pub(super) fn measure(
    bench: &Bench,
    plan: &mut Plan,
    outputs: &Outputs,
    results: &mut Results,
) -> Result<(), CommandError> {
    let usual = plan.effort.budget;
    let scouting = usual.min(Duration::from_millis(300));
    let mut cells = Vec::new();
    let mut answered: Vec<Answered> = Vec::new();
    for cell in 0..plan.cells.len() {
        let workload = plan.cells[cell].workload.name;
        bench.say(&format!(
            "{workload}: the closed loop, by which rates are chosen"
        ));
        let found = closed_loop(bench, plan, cell, scouting, &mut results.notes);
        let slowest = found
            .iter()
            .flatten()
            .copied()
            .fold(f64::INFINITY, f64::min);
        if slowest.is_finite() {
            cells.extend(at_rates(&plan.cells[cell], slowest, usual));
        }
        answered.push(found);
    }
    if cells.is_empty() && !bench.interrupted() {
        let why = results.notes.last().cloned().unwrap_or_default();
        return Err(CommandError::Failed(format!("no arm gave a figure: {why}")));
    }
    // Even at the slowest rate, a percentile needs many requests.
    let rates = cells
        .iter()
        .filter_map(|cell| cell.params.get(RATE).copied());
    if let Some(slowest) = rates.filter(|rate| *rate > 0).min() {
        plan.effort = plan
            .effort
            .with_budget(duration_at(slowest, usual).min(MAX_DURATION));
    }
    let bases = std::mem::replace(&mut plan.cells, cells);
    announce(plan, bench.is_silent());
    bench.measure(plan, outputs, Counting::default(), results)?;
    for (base, answered) in bases.iter().zip(&answered) {
        rest(bench, plan, base, answered, results);
    }
    Ok(())
}

/// The closed loop of each arm, in turn. Failures are added to `notes`.
fn closed_loop(
    bench: &Bench,
    plan: &Plan,
    cell: usize,
    usual: Duration,
    notes: &mut Vec<String>,
) -> Answered {
    let arms = &plan.cells[cell].arms;
    let mut seen: Vec<Vec<f64>> = vec![Vec::new(); arms.len()];
    for number in 0..EACH {
        for (index, arm) in arms.iter().enumerate() {
            let given_up = number > 0 && seen[index].is_empty();
            if arm.role == Role::Repeat || given_up || bench.interrupted() {
                continue;
            }
            match ask(bench, plan, (cell, arm), 0, usual, number) {
                Ok(one) => seen[index].push(one.answered),
                Err(failed) if !bench.interrupted() => notes.push(failed.line),
                Err(_) => {}
            }
        }
    }
    seen.iter().map(|answered| median(answered)).collect()
}

/// The closed loop and the compared rates, as one cell each with the same arms.
fn at_rates(base: &Cell, slowest: f64, usual: Duration) -> Vec<Cell> {
    let mut rates = vec![0];
    rates.extend(rates::compared(slowest));
    rates
        .into_iter()
        .map(|rate| Cell {
            params: at_rate(&base.params, rate, duration_at(rate, usual)),
            ..base.clone()
        })
        .collect()
}

/// The curves of a cell's arms: the compared rates from the runs, and more points up to saturation.
fn rest(bench: &Bench, plan: &Plan, base: &Cell, answered: &Answered, results: &mut Results) {
    let connections = base.params.get("connections").copied().unwrap_or(1);
    let plain = without_rate(&base.params);
    let mut curves: Vec<(usize, LoadCurve, Vec<u64>)> = Vec::new();
    for (index, arm) in base.arms.iter().enumerate() {
        let Some(capacity) = answered[index].filter(|_| arm.role == Role::Arm) else {
            continue;
        };
        let mut by_rate: Vec<(u64, Vec<Seen>)> = Vec::new();
        let mut config = arm.config();
        for run in &results.runs {
            let same = run.workload == base.workload.name && without_rate(&run.params) == plain;
            if !same || ArmKey::of(run) != arm.key() {
                continue;
            }
            let (Some(&rate), Some(seen)) = (run.params.get(RATE), Seen::of_run(run)) else {
                continue;
            };
            config = run.config.clone();
            match by_rate.iter_mut().find(|(other, _)| *other == rate) {
                Some((_, all)) => all.push(seen),
                None => by_rate.push((rate, vec![seen])),
            }
        }
        by_rate.sort_by_key(|(rate, _)| *rate);
        let points = |closed: bool| -> Vec<LoadPoint> {
            let these = by_rate.iter().filter(|(rate, _)| (*rate == 0) == closed);
            these
                .filter_map(|(_, seen)| point(seen, connections))
                .collect()
        };
        let compared: Vec<u64> = by_rate.iter().map(|(rate, _)| *rate).collect();
        curves.push((
            index,
            LoadCurve {
                workload: base.workload.name.to_owned(),
                params: plain.clone(),
                runtime: arm.runtime.to_owned(),
                config,
                connections,
                closed: points(true).pop(),
                points: points(false),
            },
            rates::own(capacity, &compared),
        ));
    }
    bench.say(&format!("{}: the rest of the curves", base.workload.name));
    let steps = curves.iter().map(|(_, _, rates)| rates.len()).max();
    for step in 0..steps.unwrap_or(0) {
        // Alternate between the arms, so that drift affects all of them.
        let mut seen: Vec<Vec<Seen>> = vec![Vec::new(); curves.len()];
        for number in 0..EACH {
            for (place, (index, curve, rates)) in curves.iter().enumerate() {
                let done = curve.points.last().is_some_and(|point| point.saturated);
                let Some(&rate) = rates.get(step).filter(|_| !done && !bench.interrupted()) else {
                    continue;
                };
                let asked = ask_of(bench, plan, base, *index, rate, number);
                match asked {
                    Ok(one) => seen[place].push(one),
                    Err(line) if !bench.interrupted() && !results.notes.contains(&line) => {
                        results.notes.push(line);
                    }
                    Err(_) => {}
                }
            }
        }
        for ((_, curve, _), seen) in curves.iter_mut().zip(&seen) {
            curve.points.extend(point(seen, connections));
        }
    }
    results
        .curves
        .extend(curves.into_iter().map(|(_, curve, _)| curve));
}

fn ask_of(
    bench: &Bench,
    plan: &Plan,
    base: &Cell,
    arm: usize,
    rate: u64,
    number: u32,
) -> Result<Seen, String> {
    let same = |cell: &Cell| {
        cell.workload.name == base.workload.name
            && without_rate(&cell.params) == without_rate(&base.params)
    };
    let cell = plan.cells.iter().position(same).ok_or_else(String::new)?;
    let arm = &plan.cells[cell].arms[arm];
    ask(bench, plan, (cell, arm), rate, plan.effort.budget, number).map_err(|failed| failed.line)
}
