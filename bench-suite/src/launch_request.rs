//! Checks the options of a command that starts one runtime against what that runtime supports.

use runtime_core::LaunchConfig;

use crate::error::CommandError;
use crate::launcher::Launcher;
use crate::{parts, suggest};

/// What the command line asked of a runtime, as written.
#[derive(Clone, Debug, Default)]
pub(crate) struct LaunchRequest {
    pub(crate) workers: Option<usize>,
    pub(crate) policy: Option<String>,
    /// As `NAME=VALUE`.
    pub(crate) knobs: Vec<String>,
    /// Parts to leave out.
    pub(crate) without: Vec<String>,
}

impl LaunchRequest {
    /// The configuration, with all names checked. The scheduler checks the values when it starts. A runtime without a
    /// launcher has no choices.
    ///
    /// # Errors
    /// [`CommandError::Usage`] for a policy, a knob or a part that `launcher` does not have.
    pub(crate) fn config(&self, launcher: Option<Launcher>) -> Result<LaunchConfig, CommandError> {
        let (policies, knobs, all_parts) = match &launcher {
            Some(launcher) => (launcher.policies, launcher.knobs, launcher.parts),
            None => Default::default(),
        };
        let mut config = LaunchConfig::default();
        if let Some(workers) = self.workers {
            config.workers = workers;
        }
        if let Some(policy) = &self.policy {
            let known = || policies.iter().map(|one| one.name);
            if !known().any(|one| one == policy) {
                return Err(unknown("policy", policy, known()));
            }
            config.policy = Some(policy.clone());
        }
        for knob in &self.knobs {
            let (name, value) = knob.split_once('=').unwrap_or((knob, ""));
            let Some(known) = knobs.iter().find(|knob| knob.name == name) else {
                return Err(unknown("knob", name, knobs.iter().map(|one| one.name)));
            };
            if value.is_empty() {
                let takes = known.values;
                return Err(CommandError::Usage(format!(
                    "--knob {name} lacks a value; write NAME=VALUE; `{name}` takes {takes}"
                )));
            }
            config.knobs.insert(name.to_owned(), value.to_owned());
        }
        for part in &self.without {
            let known = || all_parts.iter().map(|one| one.name);
            if !known().any(|one| one == part) {
                return Err(CommandError::Usage(parts::unknown(part, known())));
            }
            config.without.insert(part.clone());
        }
        Ok(config)
    }
}

fn unknown(kind: &str, name: &str, known: impl Iterator<Item = &'static str>) -> CommandError {
    CommandError::Usage(suggest::unknown(kind, name, known))
}
