//! What the instrument knows about a runtime apart from workloads: its choices, and how to start it.

use std::fmt;
use std::io;

use runtime_core::{Capabilities, Choice, Knob, Launch, LaunchConfig, Runtime as _};

use crate::error::CommandError;
use crate::serve::{self, ServeError, Service};
use crate::{soak, suggest};

/// A scheduler's choices and the functions that start it: [`Launch`], as a value in a table.
#[derive(Clone, Copy)]
pub struct Launcher {
    /// The scheduling policies; the first one is the default. Empty: there is no choice.
    pub policies: &'static [Choice],
    /// The decisions that can be changed one by one.
    pub knobs: &'static [Knob],
    /// Starts the scheduler, lets it do nothing, and ends it: says what it would be, or why it can't.
    pub probe: fn(&LaunchConfig) -> io::Result<Capabilities>,
    /// Serves under it.
    pub(crate) serve: fn(&Service) -> Result<(), ServeError>,
    /// Gives it one life of `lab soak`.
    pub(crate) soak: fn(&LaunchConfig, soak::Orders) -> io::Result<Option<u64>>,
}

impl Launcher {
    /// The launcher of `L`.
    pub const fn of<L: Launch>() -> Self {
        Self {
            policies: L::POLICIES,
            knobs: L::KNOBS,
            probe: probe::<L>,
            serve: serve::under::<L>,
            soak: soak::live::<L>,
        }
    }
}

impl fmt::Debug for Launcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launcher")
            .field("policies", &self.policies)
            .field("knobs", &self.knobs)
            .finish_non_exhaustive()
    }
}

fn probe<L: Launch>(config: &LaunchConfig) -> io::Result<Capabilities> {
    L::run(config, |rt| async move { rt.capabilities() })
}

/// What a command that starts one runtime was asked about it, as it was written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) workers: Option<usize>,
    pub(crate) policy: Option<String>,
    /// As `NAME=VALUE`.
    pub(crate) knobs: Vec<String>,
}

impl Asked {
    /// The configuration, with all names checked; the values are checked by whoever starts the scheduler.
    ///
    /// # Errors
    /// [`CommandError::Usage`] for a policy or a knob that `launcher` does not have.
    pub(crate) fn config(&self, launcher: Launcher) -> Result<LaunchConfig, CommandError> {
        self.checked(launcher.policies, launcher.knobs)
    }

    fn checked(&self, policies: &[Choice], knobs: &[Knob]) -> Result<LaunchConfig, CommandError> {
        let unknown = |kind: &str, name: &str, known: Vec<&str>| {
            Err(CommandError::Usage(suggest::unknown(kind, name, known)))
        };
        let mut config = LaunchConfig::default();
        if let Some(workers) = self.workers {
            config.workers = workers;
        }
        let policies: Vec<&str> = policies.iter().map(|policy| policy.name).collect();
        if let Some(policy) = &self.policy
            && !policies.contains(&policy.as_str())
        {
            return unknown("policy", policy, policies);
        }
        config.policy.clone_from(&self.policy);
        for knob in &self.knobs {
            let (name, value) = knob.split_once('=').unwrap_or((knob, ""));
            let Some(known) = knobs.iter().find(|knob| knob.name == name) else {
                let names = knobs.iter().map(|knob| knob.name).collect();
                return unknown("knob", name, names);
            };
            if value.is_empty() {
                let takes = known.values;
                return Err(CommandError::Usage(format!(
                    "--knob {name} lacks a value; write NAME=VALUE; `{name}` takes {takes}"
                )));
            }
            config.knobs.insert(name.to_owned(), value.to_owned());
        }
        Ok(config)
    }

    /// For what is no scheduler.
    ///
    /// # Errors
    /// [`CommandError::Usage`] if a policy or a knob was named.
    pub(crate) fn expect_no_choices(&self) -> Result<(), CommandError> {
        self.checked(&[], &[]).map(drop)
    }
}

/// How a runtime's tasks learn that a socket is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reactor {
    /// As [`LaunchConfig::reactor`] says, or a knob of the name `reactor`.
    Chosen,
    /// Always in this way.
    Fixed(&'static str),
    /// It has none, or it is not known.
    None,
}

impl Reactor {
    /// The name of what is in use under `config`.
    pub fn in_use(self, config: &LaunchConfig) -> Option<String> {
        match self {
            Self::Chosen => Some(match config.knobs.get("reactor") {
                Some(name) => name.clone(),
                None => config.reactor.to_string(),
            }),
            Self::Fixed(name) => Some(name.to_owned()),
            Self::None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use runtime_n1::N1;

    use super::*;

    #[test]
    fn a_probe_tells_what_would_run() {
        let mut config = LaunchConfig::default();
        config.workers = 7;
        let capabilities = (Launcher::of::<N1>().probe)(&config).unwrap();
        assert_eq!(capabilities.workers, Some(1));
    }

    #[test]
    fn a_knob_beats_the_configuration() {
        let mut config = LaunchConfig::default();
        assert_eq!(
            Reactor::Chosen.in_use(&config),
            Some(config.reactor.to_string())
        );
        config.knobs.insert("reactor".into(), "polling".into());
        assert_eq!(Reactor::Chosen.in_use(&config).as_deref(), Some("polling"));
        assert_eq!(
            Reactor::Fixed("poll").in_use(&config).as_deref(),
            Some("poll")
        );
    }
}
