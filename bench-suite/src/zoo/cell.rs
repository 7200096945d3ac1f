//! `lab zoo-cell`: one pathology under one Rust runtime, in this process.

use std::panic::{self, AssertUnwindSafe, catch_unwind};

use rustix::process::{Signal, set_parent_process_death_signal};

use super::flight;
use super::pathologies;
use super::stage::{Stage, Word};
use crate::cli::ZooCellArgs;
use crate::error::CommandError;
use crate::launch_request::LaunchRequest;
use crate::registry::Registry;

/// Runs the pathology and reports the result.
///
/// # Errors
/// [`CommandError::Usage`] for an unknown pathology or runtime.
pub(crate) fn run(registry: &Registry, arguments: &ZooCellArgs) -> Result<(), CommandError> {
    // Some sandboxes don't allow this. The lab kills the group in any case.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let pathology = pathologies::find(&arguments.pathology)
        .ok_or_else(|| CommandError::Usage(format!("no pathology `{}`", arguments.pathology)))?;
    let runtime = registry.runtime(&arguments.runtime);
    let launcher = runtime
        .and_then(|info| info.launcher)
        .ok_or_else(|| CommandError::Usage(format!("`{}` is not launched", arguments.runtime)))?;
    let request = LaunchRequest {
        workers: Some(arguments.workers),
        policy: arguments.scheduler.policy.clone(),
        knobs: arguments.scheduler.knobs.clone(),
        without: arguments.scheduler.without.clone(),
    };
    let stage = Stage {
        runtime: arguments.runtime.clone(),
        launcher,
        config: request.config(Some(launcher))?,
        size: arguments.size,
        lock: runtime.and_then(|info| info.lock),
    };
    let recording = match &arguments.flight {
        Some(file) => {
            let info = runtime.ok_or_else(|| CommandError::Usage("no runtime".to_owned()))?;
            Some(flight::start(file, info)?)
        }
        None => None,
    };
    // Panics are part of the programs. Ten thousand of them must not be printed.
    panic::set_hook(Box::new(|_| {}));
    let outcome = catch_unwind(AssertUnwindSafe(|| (pathology.program)(&stage)));
    // Must come before the result, because the lab ends the process after that.
    if let Some(recording) = &recording {
        recording.write();
    }
    match outcome {
        Ok(Ok(value)) => Word::Value(value),
        Ok(Err(why)) => Word::Failed(why),
        Err(payload) => {
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
            Word::Failed(format!("panicked: {}", text.unwrap_or("no message")))
        }
    }
    .say();
    // Tasks that the program left running may never end.
    std::process::exit(0);
}
