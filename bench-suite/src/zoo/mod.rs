//! `lab zoo`: known troubles of runtimes, each as a small program with a bound, and who survives what.
//!
//! Each cell of the table is a process with limits of time and memory. The runtimes in Rust run the program of the
//! pathology's file in [`pathologies`], behind `dyn`, in a child of this program; the foreign ones have a program of
//! their own in `zoo/`. Both print lines of JSON ([`stage::Word`]). For sockets, and where CPU time is the figure, the
//! program is only half of it: the lab's own side ([`client`]) asks, looks and judges, the same for all.
//!
//! Bounds are counts, or relative to a run without the trouble, so that a slow or busy machine changes no verdict.

pub(crate) mod cell;
mod client;
mod contestant;
mod faults;
mod locks;
pub(crate) mod pathologies;
mod pathology;
mod process;
mod results;
mod server;
mod stage;
mod table;
mod time_machine;
mod verdict;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::cli::ZooArgs;
use crate::compare::interruption::Interruption;
use crate::error::CommandError;
use crate::output::Output;
use crate::peers::external;
use crate::registry::Registry;
use crate::{suggest, terminal};

use contestant::{Choices, Contestant, choose};
use pathology::Pathology;
use process::Cell;
use results::{Column, Row, SCHEMA, ZooResults};
use verdict::Verdict;

/// How long a cell may take.
const TIME: Duration = Duration::from_secs(180);

/// The most memory that a cell may have.
const MEMORY_BYTES: u64 = 6 << 30;

/// Runs the zoo, or the part of it that was asked for.
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
    let interruption = Interruption::listen()
        .map_err(|error| CommandError::Failed(format!("can't listen to signals ({error})")))?;
    if arguments.versions {
        return time_machine::run(arguments, json, markdown, &interruption);
    }
    let chosen = pathologies_named(&arguments.only)?;
    let choices = Choices {
        policy: arguments.policy.clone(),
        knobs: arguments.knobs.clone(),
        without: arguments.without.clone(),
    };
    let contestants = choose(
        registry,
        external::zoo_programs(),
        &arguments.runtimes,
        &choices,
    );
    let contestants = contestants.map_err(CommandError::Usage)?;
    let results = table_of(&chosen, &contestants, arguments, &interruption);
    write(
        json,
        &serde_json::to_vec_pretty(&results).unwrap_or_default(),
    )?;
    write(markdown, table::markdown(&results).as_bytes())?;
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
    let workers = arguments.workers.unwrap_or(2).max(1);
    let mut rows = Vec::with_capacity(chosen.len());
    for pathology in chosen {
        let size = match arguments.quick {
            true => pathology.quick_size,
            false => pathology.size,
        };
        let mut cells = BTreeMap::new();
        for contestant in contestants {
            if interruption.requested() {
                break;
            }
            let verdict = verdict_on(pathology, contestant, (size, workers), interruption);
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
            bound: pathology.bound.words(size),
            unit: pathology.bound.unit().to_owned(),
            size,
            issue: pathology.issue.to_owned(),
            cells,
        });
    }
    ZooResults {
        schema: SCHEMA.to_owned(),
        workers,
        quick: arguments.quick,
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
    (size, workers): (u64, usize),
    interruption: &Interruption,
) -> Verdict {
    let command = match contestant.command(pathology, size, workers) {
        Ok(command) => command,
        Err(verdict) => return verdict,
    };
    let command = process::with_descriptors(command, pathology.descriptors);
    let cell = Cell {
        bound: pathology.bound,
        drive: pathology.drive,
        size,
        workers,
        time: TIME,
        memory_bytes: MEMORY_BYTES,
    };
    process::run(command, cell, interruption)
}

/// Refuses a table in which `RUNTIME:PATHOLOGY` or all of `RUNTIME` was to survive and does not.
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

/// Writes to where the user wants it, if anywhere.
fn write(output: Option<Output>, contents: &[u8]) -> Result<(), CommandError> {
    let Some(output) = output else { return Ok(()) };
    let written = output.write(contents);
    written.map_err(|error| CommandError::Failed(format!("the table is not written ({error})")))
}
