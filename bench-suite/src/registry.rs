//! The table of what can be measured: workloads, runtimes, and the function for each pair of them.
//!
//! A workload is written once, generic over [`runtime_core::Runtime`]; the registry holds one monomorphised function
//! per (workload, runtime) pair, so that no `dyn` stands on a measured path. Another crate adds a runtime or a
//! workload to [`Registry`] and calls [`main`](crate::main) with it.

use runtime_core::{Choice, Knob, Launch};

pub use crate::vocabulary::{Failure, Group, Mode, Parameter, Params, Workload};

use crate::launcher::{Launcher, Reactor};
use crate::measure::Meter;
use crate::workloads::server::{self, ServeFn};

/// Runs one workload under one runtime, inside the measured process, and reports through the meter.
pub type RunFn = fn(&Params, &mut Meter) -> Result<(), Failure>;

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
    /// Serves clients from outside under it, for `lab serve`; `None` where it can't.
    pub(crate) serve: Option<ServeFn>,
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
            serve: None,
            reactor: Reactor::None,
        }
    }

    /// A runtime of this project.
    pub(crate) const fn ours(name: &'static str, about: &'static str) -> Self {
        let mut info = Self::new(name, about);
        info.ours = true;
        info
    }

    /// The same, with the policies, knobs and parts of `L`, and fit for the commands that start a runtime themselves:
    /// `lab soak` and `lab serve`.
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
        self.serve = Some(server::under::<L>);
        self.reactor = reactor;
        self
    }

    /// The same, with a server of its own for `lab serve`.
    pub(crate) const fn served_by(mut self, serve: ServeFn) -> Self {
        self.serve = Some(serve);
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

    /// What a knob with this former name is called today.
    pub fn knob_formerly(&self, name: &str) -> Option<&'static str> {
        let former = self
            .launcher
            .map_or(&[][..], |launcher| launcher.former_knobs);
        let renamed = former.iter().find(|(old, _)| *old == name);
        renamed.map(|(_, new)| *new)
    }

    /// The parts that `--without` can leave out.
    pub fn parts(&self) -> &'static [Choice] {
        self.launcher.map_or(&[], |launcher| launcher.parts)
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
    /// Adds the function for one pair.
    pub(crate) fn add(&mut self, workload: &'static str, runtime: &'static str, run: RunFn) {
        self.entries.push(Entry {
            workload,
            runtime,
            run,
        });
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
