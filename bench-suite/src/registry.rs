//! What can be measured: workloads, runtimes, and the table that joins them.
//!
//! A workload is written once, generic over [`runtime_core::Runtime`]; the registry holds one monomorphised function
//! per (workload, runtime) pair, so that no `dyn` stands on a measured path. Another crate adds a runtime or a
//! workload to [`Registry`] and calls [`main`](crate::main) with it.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use runtime_core::{Choice, Knob, Launch};
use serde::{Deserialize, Serialize};

use crate::launcher::{Launcher, Reactor};
use crate::measure::Meter;

/// Runs one workload under one runtime, inside the measured process, and reports through the meter.
pub type RunFn = fn(&Params, &mut Meter) -> Result<(), Failure>;

/// Which kind of question a workload asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Mostly waiting.
    Io,
    /// Only more cores help.
    Cpu,
    /// The scheduler's own costs.
    Scheduling,
}

impl Group {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Io, Self::Cpu, Self::Scheduling];

    /// The group's name in headings.
    pub fn title(self) -> &'static str {
        match self {
            Self::Io => "IO-bound",
            Self::Cpu => "CPU-bound",
            Self::Scheduling => "Scheduling",
        }
    }
}

/// How load is put on: it decides what latency means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Requests start at intended times, whether or not earlier ones have ended.
    Open,
    /// A connection's next request starts when its last one has ended.
    Closed,
    /// A fixed amount of work, timed as a whole.
    Batch,
}

impl Mode {
    /// The mode's name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Batch => "batch",
        }
    }
}

/// A parameter of a workload.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// As in `--param NAME=VALUE`.
    pub name: &'static str,
    /// What it means, in one line, with its unit.
    pub about: &'static str,
    /// Its value when none is given.
    pub default: u64,
    /// The smallest value that makes sense.
    pub min: u64,
    /// The largest value that makes sense.
    pub max: u64,
}

/// A workload as `lab list` shows it.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// The name in commands and results.
    pub name: &'static str,
    /// The kind of question.
    pub group: Group,
    /// How load is put on with the default parameters; see [`mode_with`](Workload::mode_with).
    pub mode: Mode,
    /// What it stresses, in one line.
    pub about: &'static str,
    /// What one operation is, in one line.
    pub op: &'static str,
    /// Its parameters. The one named `size` is what `--size` sets.
    pub parameters: &'static [Parameter],
    /// The figure that verdicts are about: `wall_ns_per_op`, `cpu_ns_per_op`, `latency_p99_ns` or `bytes_per_task`.
    pub metric: &'static str,
}

impl Workload {
    /// How load is put on with these parameters: one named `rate` chooses the open loop, or the closed one if it is 0.
    pub fn mode_with(&self, values: &BTreeMap<String, u64>) -> Mode {
        match values.get("rate") {
            Some(0) => Mode::Closed,
            Some(_) => Mode::Open,
            None => self.mode,
        }
    }
}

/// A runtime as `lab list` shows it.
#[derive(Clone, Copy, Debug)]
pub struct RuntimeInfo {
    /// The name in commands and results.
    pub name: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    /// True for the runtimes of this project.
    pub ours: bool,
    /// True for a program of another language: its entries are to be run by `lab child` alone.
    pub external: bool,
    /// What can be chosen about it and how it is started without a workload; `None` where there is no [`Launch`].
    pub launcher: Option<Launcher>,
    /// How its tasks learn that a socket is ready.
    pub reactor: Reactor,
}

impl RuntimeInfo {
    /// A runtime without choices.
    pub const fn new(name: &'static str, about: &'static str) -> Self {
        Self {
            name,
            about,
            ours: false,
            external: false,
            launcher: None,
            reactor: Reactor::None,
        }
    }

    /// The same, with the policies and knobs of `L`, and fit for the commands that start a runtime themselves, such as
    /// `lab soak`.
    ///
    /// ```
    /// use bench_suite::launcher::Reactor;
    /// use bench_suite::registry::RuntimeInfo;
    ///
    /// let info = RuntimeInfo::new("n1", "one loop").launched_by::<runtime_n1::N1>(Reactor::Chosen);
    /// assert!(info.policies().is_empty());
    /// ```
    pub const fn launched_by<L: Launch>(mut self, reactor: Reactor) -> Self {
        self.launcher = Some(Launcher::of::<L>());
        self.reactor = reactor;
        self
    }

    /// The scheduling policies that `--policy` can name; the first one is the default.
    pub fn policies(&self) -> &'static [Choice] {
        self.launcher.map_or(&[], |launcher| launcher.policies)
    }

    /// The decisions that `--knob` can change.
    pub fn knobs(&self) -> &'static [Knob] {
        self.launcher.map_or(&[], |launcher| launcher.knobs)
    }
}

/// One measurable pair.
#[derive(Clone, Copy)]
pub struct Entry {
    /// The workload's name.
    pub workload: &'static str,
    /// The runtime's name.
    pub runtime: &'static str,
    /// The monomorphised function.
    pub run: RunFn,
}

/// The values that one run is made with.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Params {
    /// The workload's name, where a function is not told by its type.
    pub workload: String,
    /// The runtime's name, likewise.
    pub runtime: String,
    /// Worker threads where there are several.
    pub workers: usize,
    /// The scheduling policy by name, or the runtime's default.
    pub policy: Option<String>,
    /// Single decisions of the policy, by name.
    pub knobs: BTreeMap<String, String>,
    /// `epoll` or `polling`.
    pub reactor: Option<String>,
    /// How long the measured part may take in all, in nanoseconds; a workload stops repeating when it is over.
    pub budget_ns: u64,
    /// Seed of all that is random.
    pub seed: u64,
    /// The workload's own parameters, each of them present.
    pub values: BTreeMap<String, u64>,
}

impl Params {
    /// The value of one of the workload's own parameters.
    ///
    /// # Panics
    /// When the workload did not declare it.
    pub fn value(&self, name: &str) -> u64 {
        *self
            .values
            .get(name)
            .unwrap_or_else(|| panic!("the workload declares no parameter `{name}`"))
    }
}

/// Why a run gave no figure. A failed check is a failed run, never a fast one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// The workload's check of its own result failed.
    WrongAnswer(String),
    /// The system refused what the size needs, such as threads or descriptors.
    Refused(String),
    /// Something that the runtime or a peer needs is not on this machine; says how to install it.
    NotInstalled(String),
    /// It ended in an error.
    Crashed(String),
}

impl Failure {
    /// What a panic with this message comes to. Much code panics when the system gives it no thread, descriptor or
    /// memory: the error that it was given is in the message.
    pub(crate) fn of_panic(message: &str) -> Self {
        let refused = [
            io::Error::from_raw_os_error(libc::EAGAIN),
            io::Error::from_raw_os_error(libc::ENOMEM),
            io::Error::from_raw_os_error(libc::EMFILE),
            io::Error::from_raw_os_error(libc::ENFILE),
        ]
        .iter()
        .filter_map(|error| Some(error.to_string().split_once(" (os error")?.0.to_owned()))
        .any(|reason| message.contains(&reason));
        if refused {
            Self::Refused(message.to_owned())
        } else {
            Self::Crashed(format!("panicked: {message}"))
        }
    }

    /// What an error of the system comes to: a refusal if there was no more of something, a crash otherwise.
    pub(crate) fn of_system(what: &str, error: &io::Error) -> Self {
        let said = format!("{what}: {error}");
        if is_refusal(error) {
            Self::Refused(said)
        } else {
            Self::Crashed(said)
        }
    }
}

/// Whether the system had no more of what was asked for: threads, processes, descriptors, memory.
pub(crate) fn is_refusal(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE | libc::ENOBUFS)
    )
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongAnswer(why) => write!(f, "wrong answer: {why}"),
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::NotInstalled(why) => write!(f, "not installed: {why}"),
            Self::Crashed(why) => write!(f, "crashed: {why}"),
        }
    }
}

impl std::error::Error for Failure {}

/// All that this process can measure.
#[derive(Default)]
pub struct Registry {
    /// In the order in which they are listed.
    pub workloads: Vec<Workload>,
    /// In the order in which they are listed.
    pub runtimes: Vec<RuntimeInfo>,
    /// The pairs.
    pub entries: Vec<Entry>,
}

impl Registry {
    /// All that this project measures: its workloads under its runtimes and their peers.
    pub fn standard() -> Self {
        crate::standard::standard()
    }

    /// The workload of this name.
    pub fn workload(&self, name: &str) -> Option<&Workload> {
        self.workloads.iter().find(|workload| workload.name == name)
    }

    /// The runtime of this name.
    pub fn runtime(&self, name: &str) -> Option<&RuntimeInfo> {
        self.runtimes.iter().find(|runtime| runtime.name == name)
    }

    /// The function for a pair; `None` where the model does not have that workload.
    pub fn entry(&self, workload: &str, runtime: &str) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| entry.workload == workload && entry.runtime == runtime)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn want_of_threads_is_a_refusal_whoever_tells_it() {
        let refused = std::io::Error::from_raw_os_error(libc::EAGAIN);
        for message in [
            format!("OS can't spawn worker thread: {refused}"),
            format!("failed to spawn thread: {refused:?}"),
        ] {
            let failure = Failure::of_panic(&message);
            assert!(matches!(failure, Failure::Refused(_)), "{failure:?}");
        }
        let crashed = Failure::of_panic("index out of bounds");
        assert_eq!(
            crashed,
            Failure::Crashed("panicked: index out of bounds".into())
        );
        let failure = Failure::of_system("the listener", &refused);
        assert!(matches!(failure, Failure::Refused(_)), "{failure:?}");
    }
}
