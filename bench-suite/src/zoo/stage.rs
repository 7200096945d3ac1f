//! The process of one cell under a Rust runtime: gives a program of the zoo its runtime.

use std::fs;
use std::io::{self, Write as _};
use std::sync::mpsc;
use std::thread;

use runtime_core::{LaunchConfig, Runtime as _, TcpListener as _};
use serde::{Deserialize, Serialize};

use super::locks::{Lock, MakeLock};
use crate::any_runtime::AnyRuntime;
use crate::launcher::Launcher;
use crate::usage;

/// A message of a cell's process, one JSON object per line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Word {
    /// It serves on this port of 127.0.0.1, or runs without serving if the port is 0. The lab's side starts now.
    Listening(u16),
    /// The figure.
    Value(f64),
    /// The runtime failed, with the reason.
    Failed(String),
    /// The runtime can't run this, with what is missing.
    Cannot(String),
}

impl Word {
    /// Prints it on standard output.
    pub(crate) fn say(&self) {
        let line = serde_json::to_string(self).unwrap_or_default() + "\n";
        let mut output = io::stdout().lock();
        // If the lab is gone, this process is about to be killed too.
        let _ = output
            .write_all(line.as_bytes())
            .and_then(|()| output.flush());
    }
}

/// A runtime to start, and the size of the pathology.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub(crate) runtime: String,
    pub(crate) launcher: Launcher,
    pub(crate) config: LaunchConfig,
    pub(crate) size: u64,
    /// The lock that was registered with the runtime.
    pub(crate) lock: Option<MakeLock>,
}

impl Stage {
    /// The number of threads that poll tasks, for runtimes with a configurable number.
    pub(crate) fn workers(&self) -> usize {
        self.config.workers
    }

    /// The lock that the runtime's users use.
    pub(crate) fn lock(&self) -> Lock {
        Lock::of(&self.runtime, self.lock)
    }

    /// Runs `root` as the root task and returns its result, without waiting for the end of the runtime, because a
    /// program of the zoo may leave tasks running that never end.
    pub(crate) fn inside<F, R>(&self, root: F) -> Result<f64, String>
    where
        F: FnOnce(AnyRuntime) -> R + Send + 'static,
        R: Future<Output = Result<f64, String>> + Send + 'static,
    {
        let (give, figure) = mpsc::channel();
        let ended = give.clone();
        let (launcher, config) = (self.launcher, self.config.clone());
        thread::spawn(move || {
            let outcome = launcher.run(&config, move |rt| {
                let future = root(rt);
                async move {
                    let _ = give.send(future.await);
                }
            });
            if let Err(error) = outcome {
                let _ = ended.send(Err(error.to_string()));
            }
        });
        let gone = |_| Err("the runtime ended before its root task".to_owned());
        figure.recv().unwrap_or_else(gone)
    }

    /// Runs `serve` with a listening socket and tells the lab its address. Does not return by itself.
    pub(crate) fn serving<F, R>(&self, serve: F) -> Result<f64, String>
    where
        F: FnOnce(AnyRuntime, crate::any_runtime::AnyListener) -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        self.inside(move |rt| async move {
            let listener = rt.bind(([127, 0, 0, 1], 0).into()).await;
            let listener = listener.map_err(|error| error.to_string())?;
            let address = listener.local_addr().map_err(|error| error.to_string())?;
            Word::Listening(address.port()).say();
            serve(rt, listener).await;
            Err("the server ended".to_owned())
        })
    }

    /// Fails if each task is a thread and the system does not allow `tasks` of them.
    pub(crate) fn room_for(&self, tasks: u64) -> Result<(), String> {
        let probed = self.launcher.probe(&self.config);
        let capabilities = probed.map_err(|error| error.to_string())?;
        if capabilities.workers.is_some() {
            return Ok(());
        }
        let limit = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
        let room = [
            limit("/proc/sys/kernel/pid_max"),
            limit("/proc/sys/kernel/threads-max"),
            // A thread's stack and its guard page are two mappings.
            limit("/proc/sys/vm/max_map_count").map(|mappings| mappings / 2),
        ];
        match room.into_iter().flatten().min() {
            Some(room) if tasks >= room => Err(format!(
                "{tasks} tasks are as many threads, and this system has room for {room}"
            )),
            _ => Ok(()),
        }
    }
}

/// The resident memory of this process.
pub(crate) fn resident_bytes() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    usage::kibibytes(&status, "VmRSS:").unwrap_or(0) as f64
}
