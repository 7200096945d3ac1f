//! What the lab knows about a runtime, apart from its workloads: its choices, and how to start it.

use std::fmt;
use std::io;
use std::sync::mpsc;

use runtime_core::{Capabilities, Choice, Knob, Launch, LaunchConfig, Runtime as _};

use crate::any_runtime::{AnyRuntime, BoxFuture};

/// A root task that can run on any runtime.
pub(crate) type Root = Box<dyn FnOnce(AnyRuntime) -> BoxFuture<'static, ()> + Send>;

/// A scheduler's choices and how to start it: [`Launch`] as a value, for a table.
#[derive(Clone, Copy)]
pub struct Launcher {
    /// The scheduling policies, default first; empty if there is no choice.
    pub policies: &'static [Choice],
    /// The knobs.
    pub knobs: &'static [Knob],
    /// Former names of knobs, each with its name today.
    pub former_knobs: &'static [(&'static str, &'static str)],
    /// The parts that can be left out.
    pub parts: &'static [Choice],
    run: fn(&LaunchConfig, Root) -> io::Result<()>,
}

impl Launcher {
    /// The launcher of `L`.
    pub const fn of<L: Launch>() -> Self {
        Self {
            policies: L::POLICIES,
            knobs: L::KNOBS,
            former_knobs: L::FORMER_KNOBS,
            parts: L::PARTS,
            run: run::<L>,
        }
    }

    /// Checks the configuration: starts the scheduler and ends it again.
    ///
    /// # Errors
    /// Why it can't be started; of kind [`InvalidInput`](io::ErrorKind::InvalidInput) if `config` is to blame.
    pub fn probe(&self, config: &LaunchConfig) -> io::Result<Capabilities> {
        self.run(config, |rt| async move { rt.capabilities() })
    }

    /// [`Launch::run`], for code that is not measured.
    ///
    /// # Errors
    /// See [`Launch::run`].
    pub(crate) fn run<F, R>(&self, config: &LaunchConfig, root: F) -> io::Result<R::Output>
    where
        F: FnOnce(AnyRuntime) -> R + Send + 'static,
        R: Future + Send + 'static,
        R::Output: Send + 'static,
    {
        let (give, output) = mpsc::channel();
        let root = move |rt| -> BoxFuture<'static, ()> {
            // Some runtimes call this closure inside the task.
            let future = root(rt);
            Box::pin(async move {
                // Sending fails only if the runtime failed, which the receiver reports.
                let _ = give.send(future.await);
            })
        };
        (self.run)(config, Box::new(root))?;
        output.recv().map_err(io::Error::other)
    }
}

impl fmt::Debug for Launcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launcher")
            .field("policies", &self.policies)
            .field("knobs", &self.knobs)
            .field("parts", &self.parts)
            .finish_non_exhaustive()
    }
}

fn run<L: Launch>(config: &LaunchConfig, root: Root) -> io::Result<()> {
    L::run(config, |rt| root(AnyRuntime::new(rt)))
}

/// How a runtime's tasks learn that a socket is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reactor {
    /// As [`LaunchConfig::reactor`] or a knob called `reactor` says.
    Chosen,
    /// Always this backend.
    Fixed(&'static str),
    /// The runtime has none, or it is unknown.
    None,
}

impl Reactor {
    /// The name of the backend in use under `config`.
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
    fn a_probe_reports_what_would_run() {
        let mut config = LaunchConfig::default();
        config.workers = 7;
        let capabilities = Launcher::of::<N1>().probe(&config).unwrap();
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
