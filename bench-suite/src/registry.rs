//! The table of what can be measured: workloads, runtimes, and a function for each pair of them.
//!
//! A workload is written once, generic over [`runtime_core::Runtime`]. The registry holds one monomorphised function
//! per (workload, runtime) pair, so no measured path goes through `dyn`. Another crate adds a runtime or a workload to
//! [`Registry`] and calls [`main`](crate::main) with it.

use runtime_core::{Choice, Knob, Launch};

pub use crate::vocabulary::{Failure, Group, Mode, Parameter, Params, Workload};
pub use crate::zoo::locks::{MakeLock, RuntimeLock};

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
    /// A one-line description.
    pub about: &'static str,
    /// True for the runtimes of this project.
    pub ours: bool,
    /// True for a program in another language: only `lab child` may run its entries.
    pub external: bool,
    /// Its choices, and how to start it without a workload; `None` if it has no [`Launch`].
    pub launcher: Option<Launcher>,
    /// Serves outside clients under it, for `lab serve`; `None` if it can't.
    pub(crate) serve: Option<ServeFn>,
    /// How its tasks learn that a socket is ready.
    pub reactor: Reactor,
    /// For a runtime without our hooks: switches on or off that the tasks it spawns are followed for a recording.
    pub(crate) set_followed: Option<fn(bool)>,
    /// The lock that its users use, for `lab zoo`; with `None`, the zoo uses ours or the peer's own.
    pub lock: Option<MakeLock>,
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
            set_followed: None,
            lock: None,
        }
    }

    /// Adds the switch with which `lab trace` follows its tasks.
    pub(crate) const fn followed_by(mut self, set_followed: fn(bool)) -> Self {
        self.set_followed = Some(set_followed);
        self
    }

    /// Whether it reports everything that it does to a recorder.
    pub(crate) fn records(&self) -> bool {
        self.ours && self.launcher.is_some()
    }

    /// A runtime of this project.
    pub(crate) const fn ours(name: &'static str, about: &'static str) -> Self {
        let mut info = Self::new(name, about);
        info.ours = true;
        info
    }

    /// Adds the policies, knobs and parts of `L`, for the commands that start a runtime themselves: `lab soak` and `lab
    /// serve`.
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

    /// Adds the lock that its users use, for the pathologies of `lab zoo` that are about locks.
    ///
    /// ```
    /// use std::future::Future;
    /// use std::pin::Pin;
    /// use std::sync::Arc;
    ///
    /// use bench_suite::registry::{RuntimeInfo, RuntimeLock};
    ///
    /// type Held<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
    ///
    /// struct Lock(runtime_core::sync::Mutex<()>);
    ///
    /// impl RuntimeLock for Lock {
    ///     fn with<'a>(&'a self, held: Held<'a>) -> Held<'a> {
    ///         Box::pin(async move {
    ///             let _guard = self.0.lock().await;
    ///             held.await;
    ///         })
    ///     }
    /// }
    ///
    /// let info = RuntimeInfo::new("mine", "one loop")
    ///     .locked_by(|| Arc::new(Lock(runtime_core::sync::Mutex::new(()))));
    /// assert!(info.lock.is_some());
    /// ```
    pub const fn locked_by(mut self, make: MakeLock) -> Self {
        self.lock = Some(make);
        self
    }

    /// Adds its own server for `lab serve`.
    pub(crate) const fn served_by(mut self, serve: ServeFn) -> Self {
        self.serve = Some(serve);
        self
    }

    /// The scheduling policies that `--policy` can name; the first one is the default.
    pub fn policies(&self) -> &'static [Choice] {
        self.launcher.map_or(&[], |launcher| launcher.policies)
    }

    /// The knobs that `--knob` can set.
    pub fn knobs(&self) -> &'static [Knob] {
        self.launcher.map_or(&[], |launcher| launcher.knobs)
    }

    /// The current name of a knob that was formerly called `name`.
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

/// One pair that can be measured.
#[derive(Clone, Copy)]
pub struct Entry {
    /// The workload's name.
    pub workload: &'static str,
    /// The runtime's name.
    pub runtime: &'static str,
    /// The monomorphised function.
    pub run: RunFn,
}

/// Everything that this process can measure.
#[derive(Default)]
pub struct Registry {
    /// In the order of `lab list`.
    pub workloads: Vec<Workload>,
    /// In the order of `lab list`.
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

    /// The workload called `name`.
    pub fn workload(&self, name: &str) -> Option<&Workload> {
        self.workloads.iter().find(|workload| workload.name == name)
    }

    /// The runtime called `name`.
    pub fn runtime(&self, name: &str) -> Option<&RuntimeInfo> {
        self.runtimes.iter().find(|runtime| runtime.name == name)
    }

    /// The function for a pair; `None` if the runtime's model does not support the workload.
    pub fn entry(&self, workload: &str, runtime: &str) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| entry.workload == workload && entry.runtime == runtime)
    }
}
