//! `lab zoo`: known pathologies of runtimes, each as a small program with a bound, and which runtime survives which.
//!
//! Each cell of the table is a process with limits on time and memory. Rust runtimes run the program in the pathology's
//! file in [`pathologies`], behind `dyn`, in a child of this program. Other languages have their own programs in
//! `zoo/`. Both print lines of JSON ([`stage::Word`]). If sockets are involved, or if the figure is CPU time, the
//! program is only half of the pathology. The other half is the lab's own side ([`client`]), which asks, observes and
//! judges, and is the same for all.
//!
//! Bounds are counts, or relative to a run without the pathology, so that a slow or busy machine changes no verdict.

pub(crate) mod cell;
mod client;
mod contestant;
mod faults;
mod flight;
pub(crate) mod locks;
pub(crate) mod page;
pub(crate) mod pathologies;
mod pathology;
mod process;
pub(crate) mod results;
mod server;
mod stage;
mod table;
mod time_machine;
mod timelines;
mod verdict;

use std::collections::BTreeMap;
use std::path::Path;

use crate::cli::ZooArgs;
use crate::compare::interruption::Interruption;
use crate::error::CommandError;
use crate::output::Output;
use crate::peers::external;
use crate::registry::Registry;
use crate::{suggest, terminal};

use contestant::{Choices, Contestant, choose};
use pathology::Pathology;
use process::{Cell, MEMORY_BYTES, TIME};
use results::{Column, Row, SCHEMA, Timeline, ZooResults, write};
use verdict::Verdict;

/// Runs the zoo, or the requested part of it.
///
/// # Errors
/// [`CommandError::Usage`] for an unknown name or a file that can't be written, [`CommandError::Failed`] if an expected
/// survivor fails, [`CommandError::Interrupted`] after a signal.
pub(crate) fn run(registry: &Registry, arguments: &ZooArgs) -> Result<(), CommandError> {
    let prepare = |path: Option<&Path>, option: &str| {
        path.map(|path| Output::prepare(path, option)).transpose()
    };
    let json = prepare(arguments.json.as_deref(), "--json")?;
    let markdown = prepare(arguments.markdown.as_deref(), "--markdown")?;
    let html = prepare(arguments.html.as_deref(), "--html")?;
    let interruption = Interruption::listen()
        .map_err(|error| CommandError::Failed(format!("can't listen to signals ({error})")))?;
    if arguments.versions {
        return time_machine::run(arguments, json, markdown, &interruption);
    }
    let chosen = pathologies_named(&arguments.only)?;
    let choices = Choices {
        policy: arguments.scheduler.policy.clone(),
        knobs: arguments.scheduler.knobs.clone(),
        without: arguments.scheduler.without.clone(),
    };
    let contestants = choose(
        registry,
        external::zoo_programs(),
        &arguments.runtimes,
        &choices,
    );
    let contestants = contestants.map_err(CommandError::Usage)?;
    let mut results = table_of(&chosen, &contestants, arguments, &interruption);
    if html.is_some() && !arguments.no_timelines {
        results.timelines = timelines_of(&results, &chosen, &contestants, arguments, &interruption);
    }
    write(
        json,
        &serde_json::to_vec_pretty(&results).unwrap_or_default(),
    )?;
    write(markdown, table::markdown(&results).as_bytes())?;
    write(html, page::render(&results).as_bytes())?;
    terminal::print(&table::text(&results, terminal::width()))?;
    if interruption.requested() {
        let line = "interrupted; the table has what was done until then";
        return Err(CommandError::Interrupted(line.to_owned()));
    }
    expect(&results, &arguments.expect)
}

fn pathologies_named(names: &[String]) -> Result<Vec<&'static Pathology>, CommandError> {
    if names.is_empty() {
        return Ok(pathologies::ALL.iter().collect());
    }
    let known = || pathologies::ALL.iter().map(|pathology| pathology.name);
    let found = names.iter().map(|name| {
        pathologies::find(name)
            .ok_or_else(|| CommandError::Usage(suggest::unknown("pathology", name, known())))
    });
    found.collect()
}

fn table_of(
    chosen: &[&'static Pathology],
    contestants: &[Contestant],
    arguments: &ZooArgs,
    interruption: &Interruption,
) -> ZooResults {
    let mut rows = Vec::with_capacity(chosen.len());
    for pathology in chosen {
        let cell = cell_of(pathology, arguments);
        let mut cells = BTreeMap::new();
        for contestant in contestants {
            if interruption.requested() {
                break;
            }
            let verdict = verdict_on(pathology, contestant, cell, interruption);
            if !arguments.no_progress {
                let (name, words) = (pathology.name, verdict.words(pathology.bound.unit()));
                let mark = verdict.mark();
                terminal::say(&format!(
                    "zoo: {name} under {}: {mark}, {words}",
                    contestant.name
                ));
            }
            cells.insert(contestant.name.clone(), verdict);
        }
        rows.push(Row {
            name: pathology.name.to_owned(),
            measured: pathology.measured.to_owned(),
            about: pathology.about.to_owned(),
            bound: pathology.bound.words(cell.size),
            unit: pathology.bound.unit().to_owned(),
            size: cell.size,
            issue: pathology.issue.to_owned(),
            cells,
        });
    }
    ZooResults {
        schema: SCHEMA.to_owned(),
        workers: workers(arguments),
        quick: arguments.quick,
        timelines: Vec::new(),
        runtimes: contestants
            .iter()
            .map(|contestant| Column {
                name: contestant.name.clone(),
                version: contestant.version(),
                ours: contestant.ours,
            })
            .collect(),
        pathologies: rows,
    }
}

fn verdict_on(
    pathology: &'static Pathology,
    contestant: &Contestant,
    cell: Cell,
    interruption: &Interruption,
) -> Verdict {
    let command = match contestant.command(pathology, cell.size, cell.workers) {
        Ok(command) => command,
        Err(verdict) => return verdict,
    };
    let command = process::with_descriptors(command, pathology.descriptors);
    process::run(command, cell, interruption)
}

fn workers(arguments: &ZooArgs) -> usize {
    arguments.workers.unwrap_or(2).max(1)
}

fn cell_of(pathology: &Pathology, arguments: &ZooArgs) -> Cell {
    Cell {
        bound: pathology.bound,
        drive: pathology.drive,
        size: match arguments.quick {
            true => pathology.quick_size,
            false => pathology.size,
        },
        workers: workers(arguments),
        time: TIME,
        memory_bytes: MEMORY_BYTES,
    }
}

/// A timeline for each failed cell, or the reason why there is none.
fn timelines_of(
    results: &ZooResults,
    chosen: &[&'static Pathology],
    contestants: &[Contestant],
    arguments: &ZooArgs,
    interruption: &Interruption,
) -> Vec<Timeline> {
    let mut timelines = Vec::new();
    for (row, pathology) in results.pathologies.iter().zip(chosen) {
        for contestant in contestants {
            let verdict = row.cells.get(&contestant.name);
            if interruption.requested() || !matches!(verdict, Some(Verdict::Fails { .. })) {
                continue;
            }
            let cell = cell_of(pathology, arguments);
            let timeline = timelines::record(pathology, contestant, cell, interruption);
            if !arguments.no_progress {
                let (name, runtime) = (pathology.name, &contestant.name);
                let what = match timeline.deflate_base64 {
                    Some(_) => "the timeline is recorded",
                    None => timeline.note.as_str(),
                };
                terminal::say(&format!("zoo: {name} under {runtime}: {what}"));
            }
            timelines.push(timeline);
        }
    }
    timelines
}

/// Fails if `RUNTIME:PATHOLOGY`, or all of `RUNTIME`, was expected to survive and did not.
fn expect(results: &ZooResults, expected: &[String]) -> Result<(), CommandError> {
    let mut failed = Vec::new();
    for expectation in expected {
        let (runtime, only) = match expectation.split_once(':') {
            Some((runtime, only)) => (runtime, Some(only)),
            None => (expectation.as_str(), None),
        };
        for row in &results.pathologies {
            let wanted = only.is_none_or(|only| only == row.name);
            let survives = matches!(row.cells.get(runtime), Some(Verdict::Survives { .. }));
            if wanted && !survives {
                failed.push(format!("{} under {runtime}", row.name));
            }
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    let list = failed.join(", ");
    Err(CommandError::Failed(format!("expected to survive: {list}")))
}
