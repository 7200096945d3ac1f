//! `lab zoo-cell`: one pathology under one Rust runtime, in this process.

use std::panic::{self, AssertUnwindSafe, catch_unwind};

use rustix::process::{Signal, set_parent_process_death_signal};

use super::pathologies;
use super::stage::{Stage, Word};
use crate::cli::ZooCellArgs;
use crate::error::CommandError;
use crate::launch_request::LaunchRequest;
use crate::registry::Registry;

/// Runs it and says how it went.
///
/// # Errors
/// [`CommandError::Usage`] if there is no such pathology or runtime.
pub(crate) fn run(registry: &Registry, arguments: &ZooCellArgs) -> Result<(), CommandError> {
    // Not to be had in some sandboxes; the lab kills the group in any case.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let pathology = pathologies::find(&arguments.pathology)
        .ok_or_else(|| CommandError::Usage(format!("no pathology `{}`", arguments.pathology)))?;
    let launcher = registry
        .runtime(&arguments.runtime)
        .and_then(|info| info.launcher)
        .ok_or_else(|| CommandError::Usage(format!("`{}` is not launched", arguments.runtime)))?;
    let request = LaunchRequest {
        workers: Some(arguments.workers),
        policy: arguments.policy.clone(),
        knobs: arguments.knobs.clone(),
        without: arguments.without.clone(),
    };
    let stage = Stage {
        runtime: arguments.runtime.clone(),
        launcher,
        config: request.config(Some(launcher))?,
        size: arguments.size,
    };
    // Panics are part of the programs; ten thousand of them are not to be printed.
    panic::set_hook(Box::new(|_| {}));
    let outcome = catch_unwind(AssertUnwindSafe(|| (pathology.program)(&stage)));
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
    // What the program left running may never end.
    std::process::exit(0);
}
