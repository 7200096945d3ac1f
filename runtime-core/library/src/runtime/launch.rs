//! How a harness starts a runtime: settings that every scheduler understands, and one root task.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io;

use runtime_kernel::reactor::ReactorKind;

use super::traits::Runtime;

/// How to start a runtime: the settings that every scheduler understands. A scheduler ignores settings that it does
/// not have, except an unknown policy, knob or part, which is an error.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LaunchConfig {
    /// The number of worker threads, for schedulers with several. At least 1.
    pub workers: usize,
    /// The scheduling policy, by name, one of [`Launch::POLICIES`]; `None` is the scheduler's default.
    pub policy: Option<String>,
    /// Knobs of the policy, by the names in [`Launch::KNOBS`].
    pub knobs: BTreeMap<String, String>,
    /// Parts to leave out, by the names in [`Launch::PARTS`].
    pub without: BTreeSet<String>,
    /// Which backend asks the kernel for readiness.
    pub reactor: ReactorKind,
    /// Stack of each task's thread in bytes, under 1:1; `None` is the scheduler's default.
    pub stack_bytes: Option<usize>,
}

impl Default for LaunchConfig {
    fn default() -> Self {
        Self {
            workers: num_cpus::get(),
            policy: None,
            knobs: BTreeMap::new(),
            without: BTreeSet::new(),
            reactor: ReactorKind::default(),
            stack_bytes: None,
        }
    }
}

impl LaunchConfig {
    /// Refuses a policy, knobs and parts that `L` does not have; `runtime` is its name, for the message. For
    /// implementations of [`Launch::run`], which check the values of knobs themselves.
    ///
    /// # Errors
    /// Of kind [`InvalidInput`](io::ErrorKind::InvalidInput).
    pub fn check_names<L: Launch>(&self, runtime: &str) -> io::Result<()> {
        let policies: Vec<_> = L::POLICIES.iter().map(|policy| policy.name).collect();
        let knobs: Vec<_> = L::KNOBS.iter().map(|knob| knob.name).collect();
        let parts: Vec<_> = L::PARTS.iter().map(|part| part.name).collect();
        let policy = self.policy.iter().map(|name| ("policy", name, &policies));
        let named = policy
            .chain(self.knobs.keys().map(|name| ("knob", name, &knobs)))
            .chain(self.without.iter().map(|name| ("part", name, &parts)));
        for (kind, name, known) in named {
            if known.contains(&name.as_str()) {
                continue;
            }
            let message = if known.is_empty() {
                format!("{runtime} has no {kind} `{name}`: it has none, leave the {kind} out")
            } else {
                format!(
                    "{runtime} has no {kind} `{name}`: it has {}",
                    known.join(", ")
                )
            };
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        Ok(())
    }
}

/// A name that you can choose, and its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The name, as in a command.
    pub name: &'static str,
    /// One line.
    pub about: &'static str,
}

/// A decision that you can change by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knob {
    /// The name, as in a command.
    pub name: &'static str,
    /// One line.
    pub about: &'static str,
    /// The values, for people: `on, off`, or `1 to 1024`.
    pub values: &'static str,
}

/// Starts a runtime, runs one root task to its end, and stops the runtime.
pub trait Launch {
    /// The handle that the root task gets.
    type Runtime: Runtime;

    /// The scheduling policies that [`LaunchConfig::policy`] may name; the first one is the default. Empty if there
    /// is no choice.
    const POLICIES: &'static [Choice] = &[];

    /// The knobs that [`LaunchConfig::knobs`] may set.
    const KNOBS: &'static [Knob] = &[];

    /// Former names of knobs, each with its present name. A harness understands both.
    const FORMER_KNOBS: &'static [(&'static str, &'static str)] = &[];

    /// The parts that [`LaunchConfig::without`] may leave out, in the order in which they are shown. A part that was
    /// left out when the program was built is not among them.
    const PARTS: &'static [Choice] = &[];

    /// Runs `root` as a spawned task of a new runtime and returns its output. Drops the tasks that are still running
    /// then.
    ///
    /// # Errors
    /// When the system refuses threads or descriptors; of kind [`InvalidInput`](io::ErrorKind::InvalidInput) when
    /// `config` names a policy, a knob, a knob's value or a part that the scheduler does not have.
    ///
    /// # Panics
    /// With the root task's own panic.
    fn run<F, R>(config: &LaunchConfig, root: F) -> io::Result<R::Output>
    where
        F: FnOnce(Self::Runtime) -> R + Send + 'static,
        R: Future + Send + 'static,
        R::Output: Send + 'static;
}
