//! Runs one `lab compare` at a time in a separate process: starts, watches and stops it.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_lite::io::BufReader;
use futures_lite::{AsyncBufReadExt as _, FutureExt as _, StreamExt as _};
use parking_lot::Mutex;
use runtime_core::Runtime;
use runtime_core::process::{ChildStderr, Command, Stdio};
use runtime_core::sync::Event;
use rustix::process::{Pid, Signal, getppid, kill_process, set_parent_process_death_signal};
use serde_json::{Value, json};

use super::stored;
use crate::compare::process::own_program;
use crate::results::Results;

/// Tells a process that a page started it. The value is the parent's process id.
const PARENT: &str = "LAB_UI_PROCESS";
/// The file in which `lab compare` keeps its results so far.
const UNFINISHED: &str = "results.unfinished.json";
/// The most lines of messages that are kept.
const MAX_LINES: usize = 200;
const CHECK_INTERVAL: Duration = Duration::from_millis(400);
/// How long a process may take to stop on request, before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// If a page started this process, makes the process stop when the page's process ends, and keep what was measured.
/// Otherwise does nothing.
pub(crate) fn end_with_parent_if_asked() {
    let Ok(parent) = std::env::var(PARENT) else {
        return;
    };
    let _ = set_parent_process_death_signal(Some(Signal::INT));
    // The parent may have ended before the call.
    let now = getppid().map(|pid| pid.as_raw_nonzero().to_string());
    if now.as_deref() != Some(parent.as_str()) {
        std::process::exit(1);
    }
}

/// The current activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Running,
    Stopping,
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Running => "running",
            Self::Stopping => "stopping",
        }
    }
}

struct State {
    phase: Phase,
    /// The arguments of the current or last comparison.
    command: Vec<String>,
    process: Option<Pid>,
    said: VecDeque<String>,
    /// How the last comparison ended.
    outcome: Option<String>,
    /// Charts of the results so far.
    sections: Value,
    /// Increases with each change.
    version: u64,
    /// The state as JSON, created once for all browsers.
    text: Arc<str>,
}

impl State {
    fn newer_than(&self, seen: u64) -> Option<(u64, Arc<str>)> {
        (self.version > seen).then(|| (self.version, Arc::clone(&self.text)))
    }
}

/// The comparison that a page starts, watches and stops.
pub(super) struct Measuring {
    folder: PathBuf,
    state: Mutex<State>,
    changed: Event,
}

impl Measuring {
    pub(super) fn new(folder: PathBuf) -> Arc<Self> {
        let mut state = State {
            phase: Phase::Idle,
            command: Vec::new(),
            process: None,
            said: VecDeque::new(),
            outcome: None,
            sections: json!([]),
            version: 1,
            text: Arc::from(""),
        };
        state.text = Arc::from(as_json(&state));
        Arc::new(Self {
            folder,
            state: Mutex::new(state),
            changed: Event::new(),
        })
    }

    /// The folder with the results.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        change(&mut state);
        state.version += 1;
        state.text = Arc::from(as_json(&state));
        drop(state);
        // Current waiters continue. Later ones see the new version.
        self.changed.set();
        self.changed.clear();
    }

    /// The state as JSON, as soon as its version is above `seen`.
    pub(super) async fn newer_than(&self, seen: u64) -> (u64, Arc<str>) {
        loop {
            // Start to listen first. Otherwise a change between the check and the wait would be missed.
            let waiting = self.changed.wait();
            let mut waiting = std::pin::pin!(waiting);
            let listening = futures_lite::future::poll_once(waiting.as_mut()).await;
            if let Some(newer) = self.state.lock().newer_than(seen) {
                return newer;
            }
            if listening.is_none() {
                waiting.await;
            }
        }
    }

    fn is_busy(&self) -> bool {
        self.state.lock().phase != Phase::Idle
    }

    /// Starts `lab compare` with these arguments.
    ///
    /// # Errors
    /// One line: a comparison is already running, or it can't be started.
    pub(super) fn start<R: Runtime>(
        self: &Arc<Self>,
        rt: &R,
        arguments: Vec<String>,
    ) -> Result<(), String> {
        if self.is_busy() {
            return Err("a comparison is running: stop it first".to_owned());
        }
        let failed = |error: io::Error| format!("lab compare can't be started: {error}");
        let mut command = Command::new(own_program().map_err(failed)?);
        command
            .arg("compare")
            .args(&arguments)
            .arg("--out")
            .arg(&self.folder)
            .env(PARENT, std::process::id().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(failed)?;
        let process = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let messages = child.stderr.take();
        self.change(|state| {
            state.phase = Phase::Running;
            state.command = arguments;
            state.process = process;
            state.said.clear();
            state.outcome = None;
            state.sections = json!([]);
        });
        let (this, watching) = (Arc::clone(self), rt.clone());
        drop(rt.spawn(async move {
            let ended = async {
                if let Some(messages) = messages {
                    this.listen(messages).await;
                }
                child.wait().await
            };
            let watched = async {
                this.watch(watching).await;
                unreachable!("it watches until it is dropped")
            };
            let outcome = match ended.or(watched).await {
                Ok(status) => match status.code() {
                    Some(0) => "done".to_owned(),
                    Some(130) => "stopped; what was measured is kept".to_owned(),
                    _ => format!("ended with {status}; see the messages"),
                },
                Err(error) => format!("lost: {error}"),
            };
            this.change(|state| {
                state.phase = Phase::Idle;
                state.process = None;
                state.outcome = Some(outcome);
            });
        }));
        Ok(())
    }

    async fn listen(&self, messages: ChildStderr) {
        let mut lines = BufReader::new(messages).lines();
        while let Some(Ok(line)) = lines.next().await {
            self.change(|state| {
                if state.said.len() == MAX_LINES {
                    state.said.pop_front();
                }
                state.said.push_back(line);
            });
        }
    }

    /// Polls the results so far.
    async fn watch<R: Runtime>(&self, rt: R) {
        let path = self.folder.join(UNFINISHED);
        let mut seen: Option<SystemTime> = None;
        loop {
            rt.sleep(CHECK_INTERVAL).await;
            let written = fs::metadata(&path).and_then(|of| of.modified()).ok();
            if written.is_none() || written == seen {
                continue;
            }
            seen = written;
            let path = path.clone();
            // Reading and summarising takes long enough to delay other requests.
            let read = rt.spawn_blocking(move || {
                Results::read(&path)
                    .ok()
                    .map(|results| stored::sections(&results))
            });
            if let Ok(Some(sections)) = read.await {
                self.change(|state| state.sections = sections);
            }
        }
    }

    /// Asks the process to stop and keep its results; false if none is running.
    pub(super) fn stop(&self) -> bool {
        let process = self.state.lock().process;
        let Some(process) = process else {
            return false;
        };
        let _ = kill_process(process, Signal::INT);
        self.change(|state| state.phase = Phase::Stopping);
        true
    }

    /// Stops the running process and waits for its end.
    pub(super) async fn end<R: Runtime>(&self, rt: &R) {
        self.stop();
        let ended = async {
            let mut seen = 0;
            while self.is_busy() {
                seen = self.newer_than(seen).await.0;
            }
        };
        let late = async {
            rt.sleep(STOP_TIMEOUT).await;
            let process = self.state.lock().process;
            if let Some(process) = process {
                let _ = kill_process(process, Signal::KILL);
            }
        };
        ended.or(late).await;
    }
}

fn as_json(state: &State) -> String {
    json!({
        "phase": state.phase.name(),
        "command": state.command,
        "said": state.said,
        "outcome": state.outcome,
        "sections": state.sections,
    })
    .to_string()
}
