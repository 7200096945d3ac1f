//! The process of one cell that runs under a Rust runtime: where a program of the zoo finds its runtime.

use std::fs;
use std::io::{self, Write as _};
use std::sync::mpsc;
use std::thread;

use runtime_core::{LaunchConfig, Runtime as _, TcpListener as _};
use serde::{Deserialize, Serialize};

use crate::any_runtime::AnyRuntime;
use crate::launcher::Launcher;
use crate::usage;

/// What a cell's process says, one JSON object a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Word {
    /// It serves at this port of 127.0.0.1, or runs and serves nothing if the port is 0: the lab's turn.
    Listening(u16),
    /// The figure.
    Value(f64),
    /// The runtime failed, and how.
    Failed(String),
    /// The runtime has nothing to run this with, and what is missing.
    Cannot(String),
}

impl Word {
    /// Says it on standard output.
    pub(crate) fn say(&self) {
        let line = serde_json::to_string(self).unwrap_or_default() + "\n";
        let mut output = io::stdout().lock();
        // The lab that is gone has killed this process, too.
        let _ = output
            .write_all(line.as_bytes())
            .and_then(|()| output.flush());
    }
}

/// A runtime to be started, and how much of the pathology is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub(crate) runtime: String,
    pub(crate) launcher: Launcher,
    pub(crate) config: LaunchConfig,
    pub(crate) size: u64,
}

impl Stage {
    /// Threads that tasks are polled on, for runtimes that have a number of them.
    pub(crate) fn workers(&self) -> usize {
        self.config.workers
    }

    /// Runs `root` as the root task and gives what it returns, without waiting for the runtime's end: what a program
    /// of the zoo leaves running may never end.
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

    /// Runs `serve` with a listening socket, tells the lab where, and never returns by itself.
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

    /// Refuses so many tasks at once where each is a thread and the system has not that many.
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
            // A thread's stack and its guard are two mappings.
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

/// Memory of this process that is resident now.
pub(crate) fn resident_bytes() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    usage::kibibytes(&status, "VmRSS:").unwrap_or(0) as f64
}
