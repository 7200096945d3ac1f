//! `lab diverge`: runs one program in two ways and shows the first decision that differed.

use super::divergence::first_divergence;
use super::recording::{Arm, is_file, read, record, run_under};
use crate::cli::DivergeArgs;
use crate::error::{CommandError, usage};
use crate::registry::Registry;
use crate::terminal::{self, wrapped};
use crate::trace::Run;
use crate::units::duration_ns;

/// `lab diverge`.
///
/// # Errors
/// [`CommandError::Usage`] for unknown names and files, and unless there are exactly two ways; [`CommandError::Failed`]
/// if the workload fails.
pub(crate) fn run(registry: &Registry, arguments: &DivergeArgs) -> Result<(), CommandError> {
    let runs = match arguments.subjects.as_slice() {
        [one] if is_file(one) => two_of(one, &arguments.runtimes)?,
        [one] => two_recorded(registry, one, arguments)?,
        [one, other] => [first_of(one)?, first_of(other)?],
        _ => {
            return Err(usage(
                "name a workload, or one trace.json or two".to_owned(),
            ));
        }
    };
    let text = match first_divergence([&runs[0], &runs[1]]) {
        Some(found) => {
            let since = duration_ns(found.since_ns as f64);
            let sentence = wrapped(&found.sentence, terminal::width(), 0);
            format!(
                "{sentence}\n{}, {since} after the start.\n",
                found.cause.name()
            )
        }
        None => "No task waited for noticeably longer in one of the two.\n".to_owned(),
    };
    terminal::print(&text)
}

fn first_of(path: &str) -> Result<Run, CommandError> {
    if !is_file(path) {
        return Err(usage(format!(
            "{}: no trace file; with two names, both are files that `lab trace` wrote",
            path.escape_debug()
        )));
    }
    Ok(read(path, 1)?.runs.swap_remove(0))
}

fn two_of(path: &str, runtimes: &[String]) -> Result<[Run; 2], CommandError> {
    let trace = read(path, 2)?;
    match runtimes {
        [] => Ok([trace.runs[0].clone(), trace.runs[1].clone()]),
        [one, other] => Ok([
            run_under(&trace, path, one)?.clone(),
            run_under(&trace, path, other)?.clone(),
        ]),
        _ => Err(need_two(runtimes.len())),
    }
}

fn two_recorded(
    registry: &Registry,
    workload: &str,
    arguments: &DivergeArgs,
) -> Result<[Run; 2], CommandError> {
    let arms = arms(arguments)?;
    let [one, other] = arms.as_slice() else {
        return Err(need_two(arms.len()));
    };
    Ok([
        record(registry, workload, one, &arguments.recording)?,
        record(registry, workload, other, &arguments.recording)?,
    ])
}

fn need_two(count: usize) -> CommandError {
    usage(format!(
        "two runs can be compared, and the options name {count}; give two values of --runtime, --policy or --knob"
    ))
}

/// Every combination of the options.
fn arms(arguments: &DivergeArgs) -> Result<Vec<Arm>, CommandError> {
    let chosen_otherwise = arguments.policies.len() > 1 || arguments.knob.is_some();
    let runtimes = match arguments.runtimes.as_slice() {
        [] if chosen_otherwise => vec!["mn".to_owned()],
        [] => vec!["n1".to_owned(), "mn".to_owned()],
        named => named.to_vec(),
    };
    let policies = match arguments.policies.as_slice() {
        [] => vec![None],
        named => named.iter().cloned().map(Some).collect(),
    };
    let knobs = match &arguments.knob {
        None => vec![None],
        Some(knob) => {
            let (name, values) = knob.split_once('=').ok_or_else(|| {
                usage(format!(
                    "--knob {}: lacks values; write NAME=V1,V2",
                    knob.escape_debug()
                ))
            })?;
            let values = values.split(',');
            values
                .map(|value| Some(format!("{name}={value}")))
                .collect()
        }
    };
    let mut arms = Vec::new();
    for runtime in &runtimes {
        for policy in &policies {
            for knob in &knobs {
                arms.push(Arm {
                    runtime: runtime.clone(),
                    workers: None,
                    policy: policy.clone(),
                    knob: knob.clone(),
                });
            }
        }
    }
    Ok(arms)
}
