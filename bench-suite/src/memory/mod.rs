//! `lab memory`: bytes per task, as slopes over the number of tasks.
//!
//! Each process spawns a number of waiting tasks and measures how its memory grew, by kind (`reading.rs`). The slope
//! over several numbers is the memory of one more task. It includes neither the runtime's fixed memory nor memory that
//! grows once.

mod figures;
mod group;
pub(crate) mod reading;
mod slope;
mod table;
pub mod task_state;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::cli::MemoryArgs;
use crate::compare::interruption::Interruption;
use crate::compare::process;
use crate::compare::protocol::{Aside, PROTOCOL, Request};
use crate::environment;
use crate::error::{CommandError, usage};
use crate::green::idle::DEPTHS;
use crate::output::Output;
use crate::peers::external;
use crate::provenance::Build;
use crate::registry::{Registry, RuntimeInfo};
use crate::{suggest, terminal};

use figures::{Bytes, FEW_TASKS, Figure, MANY_TASKS, Measured};
use group::Group;
use reading::PARTS;
use slope::{Slope, slope};

pub use task_state::TaskState;

/// The value of `schema` in the written figures.
const SCHEMA: &str = "lab.memory/1";
/// This project's runtimes that are measured by default.
const MODELS: [&str; 5] = ["n1", "mn", "threads", "n1-green", "mn-green"];
const LIMIT: Duration = Duration::from_secs(60);
const MAX_ROUNDS: u32 = 1000;

/// Measures, and prints the table.
///
/// # Errors
/// [`CommandError::Usage`] for unknown names, [`CommandError::Failed`] if a process failed or the figures can't be
/// written, [`CommandError::Interrupted`] after a signal. In the last two cases, what was measured is still printed.
pub(crate) fn run(
    registry: &Registry,
    build: &Build,
    arguments: &MemoryArgs,
) -> Result<(), CommandError> {
    let runtimes = chosen(registry, &arguments.runtimes)?;
    let tasks = numbers(&arguments.tasks)?;
    if !(1..=MAX_ROUNDS).contains(&arguments.rounds) {
        let rounds = arguments.rounds;
        return Err(usage(format!(
            "--rounds {rounds} is out of range; 1 to {MAX_ROUNDS}"
        )));
    }
    let states = match arguments.states.as_slice() {
        [] => TaskState::ALL.to_vec(),
        some => some.to_vec(),
    };
    let prepare = |path: &Option<std::path::PathBuf>, option| {
        let prepared = path.as_deref().map(|path| Output::prepare(path, option));
        prepared.transpose()
    };
    let json = prepare(&arguments.json, "--json")?;
    let markdown = prepare(&arguments.markdown, "--markdown")?;
    let system = |error: std::io::Error| CommandError::Failed(format!("memory: {error}"));
    let interruption = Interruption::listen().map_err(system)?;
    let program = process::own_program().map_err(system)?;
    let say = |line: &str| {
        if !arguments.no_progress {
            terminal::say(line);
        }
    };
    let versions = external::prepare(runtimes.iter().map(|info| info.name), say);
    let begun = environment::Instant::now();
    environment::warm_memory(1 << 30);
    let mut environment = environment::describe(0, build);
    environment.conditions = Some(environment::before(begun));
    environment.versions.extend(versions);
    // Without a group, the kernel part is that of the whole machine. It is noisier, and the output says so.
    let group = Group::enter();
    if let Err(error) = &group {
        say(&format!(
            "no control group of its own ({error}): the kernel's part is that of the whole machine"
        ));
    }
    let mut measured = Measured {
        schema: SCHEMA,
        environment,
        rounds: arguments.rounds,
        kernel_part_of: if group.is_ok() {
            "control group"
        } else {
            "machine"
        },
        figures: Vec::new(),
    };
    for state in states {
        for info in &runtimes {
            if registry.entry(state.workload(), info.name).is_none() {
                continue;
            }
            say(&format!("{} tasks under {}", state.workload(), info.name));
            let tasks = tasks.clone().unwrap_or_else(|| usual(info.name, state));
            let mut figure = Figure {
                runtime: info.name.to_owned(),
                state,
                tasks,
                bytes_per_task: BTreeMap::new(),
                processes: Vec::new(),
                stack_depths: Vec::new(),
                error: None,
            };
            measure(&program, &interruption, arguments.rounds, &mut figure);
            if interruption.requested() {
                break;
            }
            measured.figures.push(figure);
        }
    }
    drop(group);
    environment::after(&mut measured.environment, begun);
    finish(&measured, arguments, json.as_ref(), markdown.as_ref())?;
    if interruption.requested() {
        return Err(CommandError::Interrupted(
            "interrupted; what was measured is shown".to_owned(),
        ));
    }
    let failed = measured.figures.iter().find(|figure| {
        let error = figure.error.as_deref();
        error.is_some_and(|error| !error.starts_with("not installed"))
    });
    failed.map_or(Ok(()), |figure| {
        let error = figure.error.as_deref().unwrap_or_default();
        Err(CommandError::Failed(format!(
            "{} under {}: {error}; all other figures are kept",
            figure.state.workload(),
            figure.runtime
        )))
    })
}

fn finish(
    measured: &Measured,
    arguments: &MemoryArgs,
    json: Option<&Output>,
    markdown: Option<&Output>,
) -> Result<(), CommandError> {
    let mut text = table::terminal(measured);
    let mut outcome = Ok(());
    let mut write =
        |path: &Option<std::path::PathBuf>, output: Option<&Output>, contents: String| {
            let (Some(path), Some(output)) = (path, output) else {
                return;
            };
            match output.write(contents.as_bytes()) {
                Ok(()) => text.push_str(&format!("figures: {}\n", path.display())),
                Err(error) => {
                    let path: &Path = path;
                    outcome = Err(CommandError::Failed(format!(
                        "cannot write {}: {error}; the figures are shown above",
                        path.display()
                    )));
                }
            }
        };
    let all = serde_json::to_string(measured).unwrap_or_default();
    write(&arguments.json, json, all + "\n");
    write(&arguments.markdown, markdown, table::markdown(measured));
    let standard = [json, markdown].contains(&Some(&Output::Standard));
    let printed = if standard {
        Ok(())
    } else {
        terminal::print(&text)
    };
    outcome.and(printed)
}

fn chosen<'a>(
    registry: &'a Registry,
    names: &[String],
) -> Result<Vec<&'a RuntimeInfo>, CommandError> {
    let has = |info: &&RuntimeInfo| registry.entry("idle", info.name).is_some();
    if names.is_empty() {
        // Leave out what is not installed, because its rows would have no figures.
        let states = external::states(registry);
        let there = |info: &&RuntimeInfo| {
            MODELS.contains(&info.name)
                || (!info.ours && states.get(info.name).is_none_or(external::State::installed))
        };
        return Ok(registry.runtimes.iter().filter(has).filter(there).collect());
    }
    names
        .iter()
        .map(|name| {
            let known = || registry.runtimes.iter().filter(has);
            let found = known().find(|info| info.name == name);
            let all = known().map(|info| info.name);
            found.ok_or_else(|| usage(suggest::unknown("runtime with idle tasks", name, all)))
        })
        .collect()
}

fn numbers(asked: &[u64]) -> Result<Option<Vec<u64>>, CommandError> {
    if asked.is_empty() {
        return Ok(None);
    }
    let mut numbers = asked.to_vec();
    numbers.sort_unstable();
    numbers.dedup();
    if numbers.len() < 2 || numbers[0] == 0 {
        return Err(usage(
            "--tasks takes two different numbers or more, such as 1000,2000".to_owned(),
        ));
    }
    Ok(Some(numbers))
}

fn usual(runtime: &str, state: TaskState) -> Vec<u64> {
    if runtime.starts_with("threads") || state == TaskState::Socket {
        FEW_TASKS.to_vec()
    } else {
        MANY_TASKS.to_vec()
    }
}

fn measure(program: &Path, interruption: &Interruption, rounds: u32, figure: &mut Figure) {
    'processes: for round in 0..rounds {
        for &tasks in &figure.tasks {
            let request = Request {
                protocol: PROTOCOL.to_owned(),
                workload: figure.state.workload().to_owned(),
                runtime: figure.runtime.clone(),
                workers: environment::cores(),
                policy: None,
                knobs: BTreeMap::new(),
                without: std::collections::BTreeSet::new(),
                reactor: None,
                budget_ns: 1_000_000,
                seed: u64::from(round),
                params: BTreeMap::from([("size".to_owned(), tasks)]),
                slowdown: None,
                aside: Some(Aside::Memory),
            };
            match process::measure(program, &request, LIMIT, interruption) {
                Ok(answer) => {
                    let ops = answer.samples.iter().map(|sample| sample.ops).sum();
                    let parts = PARTS.into_iter();
                    let parts = parts.filter_map(|part| Some((part, *answer.extra.get(part)?)));
                    figure.processes.push((ops, parts.collect()));
                    let depths = DEPTHS.into_iter();
                    let depths = depths
                        .filter_map(|(name, ..)| Some((name, *answer.extra.get(name)? as u64)));
                    figure.stack_depths = depths.collect();
                }
                Err((status, error)) => {
                    figure.error = Some(format!("{}: {error}", status.describe()));
                    // Another process would fail too.
                    break 'processes;
                }
            }
        }
    }
    figure.bytes_per_task = slopes(&figure.processes);
}

fn slopes(processes: &[(u64, BTreeMap<&'static str, f64>)]) -> BTreeMap<&'static str, Bytes> {
    let of = |part: &'static str| {
        let points: Option<Vec<(f64, f64)>> = processes
            .iter()
            .map(|(tasks, grown)| Some((*tasks as f64, *grown.get(part)?)))
            .collect();
        let Slope { estimate, interval } = slope(&points?)?;
        Some((
            part,
            Bytes {
                estimate,
                ci95: interval,
            },
        ))
    };
    PARTS.into_iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_one_time_growth_is_not_counted_per_task() {
        let process = |tasks: u64, bytes: f64| (tasks, BTreeMap::from([(PARTS[0], bytes)]));
        let processes = [
            process(1000, 5_000_000.0),
            process(2000, 5_256_000.0),
            process(4000, 5_768_000.0),
        ];
        let slopes = slopes(&processes);
        assert!(
            (slopes[PARTS[0]].estimate - 256.0).abs() < 1e-6,
            "{slopes:?}"
        );
        assert!(!slopes.contains_key(PARTS[1]), "unknown is not 0");
    }

    #[test]
    fn one_number_of_tasks_makes_no_slope() {
        assert!(
            numbers(&[1000]).is_err() && numbers(&[5, 5]).is_err() && numbers(&[0, 5]).is_err()
        );
        assert_eq!(numbers(&[2000, 1000]).unwrap().unwrap(), [1000, 2000]);
        assert_eq!(numbers(&[]).unwrap(), None);
    }
}
