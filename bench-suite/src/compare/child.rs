//! The measured process: reads one request and writes one answer.

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
use crate::trace::Excerpt;

/// Serves one request from standard input.
///
/// # Errors
/// If it can't read a request or write the answer. A failed run is an answer, not an error.
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
    // Don't close it before the process ends. A parent that sees its end closes our standard input, and that would kill
    // us, as the parent's death does.
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
    // Must come before the runtime starts any thread.
    meter.events = match request.aside {
        Some(Aside::Count) => Some(Events::of_this_thread()),
        Some(Aside::Traced) => Some(Events::of_the_tracer()),
        Some(Aside::Memory | Aside::Timeline) | None => None,
    };
    meter.split_memory = request.aside == Some(Aside::Memory);
    meter.recorder = (request.aside == Some(Aside::Timeline)).then(Excerpt::recorder);
    let params = Params::from(request);
    match catch_unwind(AssertUnwindSafe(|| (entry.run)(&params, &mut meter))) {
        Ok(Ok(())) if meter.samples.iter().all(|sample| sample.ops == 0) => {
            Failure::WrongAnswer("no operation was measured".to_owned()).into()
        }
        Ok(Ok(())) => {
            // If the workload set it, the workload knows better.
            if let Some(config) = meter.launched.take().filter(|_| meter.reactor.is_none()) {
                let info = registry.runtime(&request.runtime);
                meter.reactor = info.and_then(|info| info.reactor.in_use(&config));
            }
            let recorded = meter.recorded.take();
            Answer::Result(Box::new(Measured {
                excerpt: recorded.map(|recorded| Excerpt::of(&request.runtime, &recorded)),
                ..Measured::from(meter)
            }))
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
        .unwrap_or("with a payload that is not text")
}

/// Keeps the real standard output for answers and points descriptor 1 to standard error. A workload that prints then
/// can't break the protocol.
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

/// Kills this process and the rest of its process group when standard input closes: the parent is dead or no longer
/// wants the answer. The kernel's own death signal covers a process that is too stuck to notice.
fn die_with_parent() {
    let parent = process::getppid();
    // Some sandboxes don't allow this. The watch on standard input remains.
    let _ = process::set_parent_process_death_signal(Some(Signal::KILL));
    // If the parent died before the call, no signal will come.
    if process::getppid() != parent {
        kill_own_group();
    }
    let watch = thread::Builder::new()
        .name("lab-parent-watch".to_owned())
        .spawn(|| {
            let mut rest = [0_u8; 64];
            // Blocks until the end of file, so it costs nothing during measurements.
            while !matches!(io::stdin().lock().read(&mut rest), Ok(0) | Err(_)) {}
            kill_own_group();
        });
    drop(watch);
}

fn kill_own_group() {
    // Only a group leader may kill its group. In a child that you start by hand, it would kill your shell's group.
    if process::getpgrp() == process::getpid() {
        let _ = process::kill_process_group(process::getpid(), Signal::KILL);
    }
    std::process::exit(1);
}
