//! The timeline of each failure: one more short run of the failed cell, traced.
//!
//! Recording costs time, so the run that gives the verdict is not recorded. The traced run has its own time limit: a
//! cell that hung for minutes is shown while it hangs. A cell that does not fail again gets no timeline, because the
//! timeline would contradict the table.

use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, thread};

use rustix::process::{Pid, Signal, kill_process};

use super::contestant::Contestant;
use super::flight::unfinished;
use super::pathology::Pathology;
use super::process::{self, Cell};
use super::results::Timeline;
use super::verdict::Verdict;
use crate::compare::interruption::Interruption;
use crate::trace::Trace;
use crate::trace::excerpt::packed;

/// The time limit of the traced run.
const TIME: Duration = Duration::from_secs(20);
/// How long a process may take to write its trace before the lab ends it.
const TRACE_TIMEOUT: Duration = Duration::from_secs(10);
/// The most events in a timeline.
const EVENTS: usize = 8000;
/// The maximum size of a cell's trace.
const MAX_BYTES: u64 = 1 << 30;

/// Records the failure of `pathology` under `contestant`, in a process like that of `cell`.
pub(super) fn record(
    pathology: &Pathology,
    contestant: &Contestant,
    cell: Cell,
    interruption: &Interruption,
) -> Timeline {
    let recorded = match contestant.untraced {
        Some(why) => Err(why.to_owned()),
        None => recorded(pathology, contestant, cell, interruption),
    };
    let (deflate_base64, note) = match recorded {
        Ok((text, note)) => (Some(text), note),
        Err(why) => (None, why),
    };
    Timeline {
        pathology: pathology.name.to_owned(),
        runtime: contestant.name.clone(),
        deflate_base64,
        note,
    }
}

/// The last events, packed, and the result of the traced run; or the reason why there are none.
fn recorded(
    pathology: &Pathology,
    contestant: &Contestant,
    cell: Cell,
    interruption: &Interruption,
) -> Result<(String, String), String> {
    let failed = |error: std::io::Error| format!("no place for a trace ({error})");
    let folder = tempfile::tempdir().map_err(failed)?;
    let file = folder.path().join("trace.json");
    let command = contestant.command(pathology, cell.size, cell.workers);
    let mut command = command.map_err(|verdict| verdict.words(""))?;
    command.arg("--flight").arg(&file);
    let command = process::with_descriptors(command, pathology.descriptors);
    let cell = Cell { time: TIME, ..cell };
    let verdict = process::run_until(command, cell, interruption, |id| ask(id, &file));
    let words = verdict.words(pathology.bound.unit());
    if !matches!(verdict, Verdict::Fails { .. }) {
        return Err(format!("did not fail again when it was traced: {words}"));
    }
    let length = fs::metadata(&file).map_or(0, |metadata| metadata.len());
    if length == 0 || length > MAX_BYTES {
        return Err(format!("left no trace when it failed again: {words}"));
    }
    let trace = Trace::read(&file).map_err(|error| error.to_string())?;
    let run = trace.runs.first().filter(|run| !run.events.is_empty());
    let run = run.ok_or_else(|| format!("recorded no event when it failed again: {words}"))?;
    Ok((packed(&run.last(EVENTS)), words))
}

/// Asks a process for its trace before the lab ends it, and waits for the trace.
fn ask(id: Pid, file: &Path) {
    let part = unfinished(file);
    let deadline = Instant::now() + TRACE_TIMEOUT;
    // Until the file has this name, the signal would kill the process. A dead process does not answer.
    if !part.exists() || kill_process(id, Signal::USR1).is_err() {
        return;
    }
    while part.exists() && !process::is_dead(id) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
    }
}
