//! A peer's process: the conversation with it, and how it ends.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use serde::{Deserialize, Serialize};

use super::install::Installed;
use super::manifest::{Peer, Placeholders, Style};
use crate::compare::process::{ending, last_line, one_line, tail_of};
use crate::results::Status;
use crate::vocabulary::{Failure, Params};

/// How long a peer may take to exit once it has been told to.
const GRACE: Duration = Duration::from_secs(3);

/// How long to wait for a silent peer before checking whether it still runs.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// The longest accepted line: the lateness of a few million sleeps.
const MAX_LINE_BYTES: u64 = 64 << 20;

/// The lab's messages to a peer after the request.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Order<'a> {
    /// Run this many repetitions.
    Run {
        repetitions: u64,
        /// For `download`: the folder for the files.
        #[serde(skip_serializing_if = "Option::is_none")]
        folder: Option<&'a str>,
    },
    /// For a server: no more requests will come.
    Stop,
}

/// A peer's messages.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Word {
    /// It is alive.
    Progress {},
    /// It waits for an order.
    Ready {
        #[serde(default)]
        workers: Option<u64>,
    },
    /// It serves.
    Listening {
        address: String,
        #[serde(default)]
        workers: Option<u64>,
    },
    /// The order is done.
    Done(Box<Done>),
    /// After `done` in `timers`: the lateness of each sleep; negative if early.
    Late { late_ns: Vec<i64> },
    /// Its own figures: instead of waiting for orders, or at the end of a server.
    Result {
        #[serde(default)]
        samples: Vec<OwnSample>,
        #[serde(default)]
        extra: std::collections::BTreeMap<String, f64>,
    },
    /// It has failed.
    Failure { status: Status, error: String },
}

/// What a peer did for one order.
#[derive(Debug, Deserialize)]
pub(super) struct Done {
    /// The number of operations.
    pub(super) ops: u64,
    /// The elapsed time by the peer's clock.
    pub(super) wall_ns: u64,
    /// The workload's result, summed over the repetitions.
    pub(super) answer: u64,
    /// `crawl`: the most pages that were fetched at once.
    #[serde(default)]
    pub(super) most_at_once: Option<u64>,
    /// `download`: the number of URLs reported as failed.
    #[serde(default)]
    pub(super) bad: Option<u64>,
}

/// A sample that a peer measured itself.
#[derive(Debug, Deserialize)]
pub(super) struct OwnSample {
    pub(super) ops: u64,
    pub(super) wall_ns: u64,
    pub(super) cpu_ns: Option<u64>,
}

/// A running peer. Dropping it kills it.
pub(super) struct Conversation {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<Vec<u8>>,
    errors: Receiver<String>,
    style: Style,
}

impl Conversation {
    /// Starts the peer and sends it the request.
    pub(super) fn start(
        peer: &Peer,
        installed: &Installed,
        params: &Params,
        request: &serde_json::Value,
    ) -> Result<Self, Failure> {
        let workload = &params.workload;
        let Some((words, style)) = peer.manifest.command_for(workload) else {
            return Err(Failure::Refused(format!("{} has no {workload}", peer.name)));
        };
        let words = Placeholders {
            dir: &installed.dir,
            build: &installed.build,
            program: &installed.program.to_string_lossy(),
            workers: params.workers.max(1),
            workload,
        }
        .fill(words);
        let (program, arguments) = words
            .split_first()
            .expect("a manifest's command has a word");
        let mut child = Command::new(program)
            .args(arguments)
            .envs(&peer.manifest.environment)
            .current_dir(&installed.dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Failure::Crashed(format!("{program} can't be started ({error})")))?;
        let output = child.stdout.take().expect("piped");
        let errors = match tail_of(child.stderr.take().expect("piped")) {
            Ok(errors) => errors,
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(Failure::Refused(format!(
                    "the system refused a thread to listen to {program} ({error})"
                )));
            }
        };
        let mut conversation = Self {
            input: child.stdin.take(),
            lines: lines_of(output),
            errors,
            child,
            style,
        };
        if style == Style::Protocol {
            conversation.write(request);
        }
        Ok(conversation)
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn order(&mut self, order: &Order<'_>) {
        let order = serde_json::to_value(order).expect("an order has only numbers and strings");
        self.write(&order);
    }

    /// Writing fails if the peer is gone. Its next message, or how it ended, explains more than this error.
    fn write(&mut self, value: &serde_json::Value) {
        if let Some(input) = &mut self.input {
            let _ = input.write_all(format!("{value}\n").as_bytes());
        }
    }

    /// The next message that is not `progress`.
    pub(super) fn hear(&mut self) -> Result<Word, Failure> {
        loop {
            match self.next()? {
                Some(Word::Progress {}) => {}
                Some(Word::Failure { status, error }) => return Err(failure(status, &error)),
                Some(word) => return Ok(word),
                None => return Err(self.ended_early()),
            }
        }
    }

    /// The next message, or `None` when the peer has exited. The end of its output is not enough, because processes
    /// that it left behind may hold the output open.
    fn next(&mut self) -> Result<Option<Word>, Failure> {
        loop {
            match self.lines.recv_timeout(CHECK_INTERVAL) {
                Ok(line) => return parse(&line).map(Some),
                Err(RecvTimeoutError::Timeout) if !self.exited() => {}
                // Its last message may still be on the way.
                Err(RecvTimeoutError::Timeout) => match self.lines.recv_timeout(CHECK_INTERVAL) {
                    Ok(line) => return parse(&line).map(Some),
                    Err(_) => return Ok(None),
                },
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }

    /// Whether it has exited. It is not reaped, so that its id is not reused.
    fn exited(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        let seen = waitid(WaitId::Pid(Pid::from_child(&self.child)), options);
        !matches!(seen, Ok(None))
    }

    /// Waits for it to exit, and kills it if it does not.
    fn wait(&mut self) -> Option<ExitStatus> {
        let deadline = Instant::now() + GRACE;
        while !self.exited() {
            if Instant::now() >= deadline {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return None;
            }
            thread::sleep(Duration::from_millis(1));
        }
        self.child.wait().ok()
    }

    /// Why it ended.
    pub(super) fn ended_early(&mut self) -> Failure {
        match self.wait() {
            Some(status) => Failure::Crashed(format!("{}{}", ending(status), self.last_words())),
            None => Failure::Crashed("closed its output and does not end; killed".to_owned()),
        }
    }

    /// [`ended_early`](Self::ended_early), if it has ended.
    pub(super) fn has_ended(&mut self) -> Option<Failure> {
        self.exited().then(|| self.ended_early())
    }

    fn last_words(&self) -> String {
        last_line(
            &self
                .errors
                .recv_timeout(Duration::from_millis(500))
                .unwrap_or_default(),
        )
    }

    /// Tells it to end and checks that it ends well. Returns its last message.
    pub(super) fn end(mut self) -> Result<Option<Word>, Failure> {
        match self.style {
            Style::Protocol => self.order(&Order::Stop),
            Style::Plain => {
                let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
            }
        }
        self.input = None;
        let status = self.wait();
        let mut last = None;
        while self.style == Style::Protocol
            && let Ok(line) = self.lines.recv_timeout(CHECK_INTERVAL)
        {
            match parse(&line)? {
                Word::Failure { status, error } => return Err(failure(status, &error)),
                Word::Progress {} => {}
                word => last = Some(word),
            }
        }
        let by_request = |status: ExitStatus| {
            self.style == Style::Plain && status.signal() == Some(Signal::TERM.as_raw())
        };
        match status {
            Some(status) if status.success() || by_request(status) => Ok(last),
            Some(status) => {
                let words = self.last_words();
                Err(Failure::Crashed(format!(
                    "{} after its figures{words}",
                    ending(status)
                )))
            }
            None => Err(Failure::Crashed(
                "does not end after its figures; killed".to_owned(),
            )),
        }
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends each line on. An endless line is cut off, which makes it an invalid message.
fn lines_of(output: ChildStdout) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        loop {
            let mut line = Vec::new();
            let heard = output
                .by_ref()
                .take(MAX_LINE_BYTES)
                .read_until(b'\n', &mut line);
            if !matches!(heard, Ok(length) if length > 0) || sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

fn parse(line: &[u8]) -> Result<Word, Failure> {
    let text = String::from_utf8_lossy(line);
    let text = text.trim();
    if let Some(address) = text.strip_prefix("listening ") {
        let address = address.trim().to_owned();
        return Ok(Word::Listening {
            address,
            workers: None,
        });
    }
    serde_json::from_str(text).map_err(|error| {
        let start: String = text.chars().take(60).collect();
        let start = start.escape_debug();
        Failure::Crashed(format!(
            "said `{start}`, which is not a valid answer ({error})"
        ))
    })
}

/// A failure that the peer reports.
fn failure(status: Status, error: &str) -> Failure {
    let error = one_line(error);
    match status {
        Status::WrongAnswer => Failure::WrongAnswer(error),
        Status::Refused => Failure::Refused(error),
        Status::NotInstalled => Failure::NotInstalled(error),
        Status::Ok | Status::Crashed | Status::TimedOut => Failure::Crashed(error),
    }
}
