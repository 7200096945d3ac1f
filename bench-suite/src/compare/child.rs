//! The measured process: one request in, one answer out.

use std::any::Any;
use std::fs::File;
use std::io::{self, BufRead as _, Read as _, Write as _};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use rustix::process::{self, Signal};

use super::protocol::{Answer, Aside, Measured, PROTOCOL, Request};
use crate::costs::events::Events;
use crate::error::CommandError;
use crate::measure::Meter;
use crate::registry::{Failure, Params, Registry};

/// Serves one request from standard input.
///
/// # Errors
/// When there is no request to be read, or nobody to answer to. A run that fails is an answer, not an error.
pub(crate) fn run(registry: &Registry) -> Result<(), CommandError> {
    let mut line = String::new();
    let request = io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| error.to_string())
        .and_then(|_| serde_json::from_str::<Request>(&line).map_err(|error| error.to_string()))
        .and_then(|request| match request.protocol.as_str() {
            PROTOCOL => Ok(request),
            other => Err(format!("protocol `{}`", other.escape_debug())),
        })
        .map_err(|error| {
            CommandError::Usage(format!(
                "child: expected a `{PROTOCOL}` request on standard input ({error}); `lab compare` sends it"
            ))
        })?;
    let mut answers = take_standard_output().map_err(lost)?;
    die_with_parent();
    send(
        &mut answers,
        &Answer::Progress {
            phase: "measuring".to_owned(),
        },
    )?;
    send(&mut answers, &answer(registry, &request))?;
    // Closed by the end of this process, not before: whoever sees its end lets go of standard input, and that would
    // end us as a parent's death does.
    mem::forget(answers);
    Ok(())
}

fn answer(registry: &Registry, request: &Request) -> Answer {
    let Some(entry) = registry.entry(&request.workload, &request.runtime) else {
        let (workload, runtime) = (&request.workload, &request.runtime);
        return Failure::NotInstalled(format!("there is no `{workload}` under `{runtime}`")).into();
    };
    let mut meter = Meter::default();
    meter.slowdown = request.slowdown.unwrap_or(0.0);
    // Before the runtime starts any thread.
    meter.events = (request.aside == Some(Aside::Count)).then(Events::of_this_thread);
    meter.split_memory = request.aside == Some(Aside::Memory);
    let params = Params::from(request);
    match catch_unwind(AssertUnwindSafe(|| (entry.run)(&params, &mut meter))) {
        Ok(Ok(())) if meter.samples.iter().all(|sample| sample.ops == 0) => {
            Failure::WrongAnswer("no operation was measured".to_owned()).into()
        }
        Ok(Ok(())) => {
            // A workload that knows better has said so.
            if let Some(config) = meter.launched.take().filter(|_| meter.reactor.is_none()) {
                let info = registry.runtime(&request.runtime);
                meter.reactor = info.and_then(|info| info.reactor.in_use(&config));
            }
            Answer::Result(Box::new(Measured::from(meter)))
        }
        Ok(Err(failure)) => failure.into(),
        Err(payload) => Failure::of_panic(panic_message(&*payload)).into(),
    }
}

pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("with a payload that is no text")
}

/// Keeps the real standard output for answers and points descriptor 1 to standard error, so that a workload that
/// prints cannot break the protocol.
fn take_standard_output() -> io::Result<File> {
    let answers = io::Write::by_ref(&mut io::stdout().lock())
        .flush()
        .and_then(|()| Ok(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?))?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    Ok(File::from(answers))
}

fn send(answers: &mut File, answer: &Answer) -> Result<(), CommandError> {
    let mut line = serde_json::to_vec(answer).map_err(|error| lost(error.into()))?;
    line.push(b'\n');
    answers.write_all(&line).map_err(lost)
}

fn lost(error: io::Error) -> CommandError {
    CommandError::Failed(format!(
        "child: cannot answer ({error}); the process that asked is gone"
    ))
}

/// Ends this process, and those it started in its group, when standard input ends: when the parent is gone or has lost
/// interest. The kernel's own signal covers a process too stuck to notice.
fn die_with_parent() {
    let parent = process::getppid();
    // Not to be had in some sandboxes; the watch on standard input remains.
    let _ = process::set_parent_process_death_signal(Some(Signal::KILL));
    // A parent that died before the call sends no signal any more.
    if process::getppid() != parent {
        kill_own_group();
    }
    let watch = thread::Builder::new()
        .name("lab-parent-watch".to_owned())
        .spawn(|| {
            let mut rest = [0_u8; 64];
            // Blocks until the end of file: costs nothing while measuring.
            while !matches!(io::stdin().lock().read(&mut rest), Ok(0) | Err(_)) {}
            kill_own_group();
        });
    drop(watch);
}

fn kill_own_group() {
    // Only the leader of a group may take all of it down: started by hand, it would kill the shell's.
    if process::getpgrp() == process::getpid() {
        let _ = process::kill_process_group(process::getpid(), Signal::KILL);
    }
    std::process::exit(1);
}
