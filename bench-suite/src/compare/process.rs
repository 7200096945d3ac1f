//! The parent's side of one measured process: starts it, asks, waits, and leaves nothing behind.

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::interruption::Interruption;
use super::protocol::{Answer, Measured, Request};
use crate::peers::external::tree;
use crate::results::Status;
use crate::workloads::scratch;

/// How long a child may take to exit after its answer, and its pipes to drain after its exit.
const GRACE: Duration = Duration::from_secs(3);

/// The longest tail of a child's standard error that is kept.
const TAIL_BYTES: usize = 4096;

/// A run's figures, or its status and the reason for the failure.
pub(crate) type Outcome = Result<Measured, (Status, String)>;

/// The program for the child, which is this program. The link in `/proc` stays valid if a new build replaces the file
/// during the run.
pub(crate) fn own_program() -> io::Result<PathBuf> {
    let link = Path::new("/proc/self/exe");
    if link.exists() {
        Ok(link.to_owned())
    } else {
        std::env::current_exe()
    }
}

/// Runs one child to its end, for at most `limit`. After an interruption, the outcome is that of a killed child and
/// must not count.
///
/// Call this from the main thread, because the child's death signal is sent when the *thread* that started it ends.
pub(crate) fn measure(
    program: &Path,
    request: &Request,
    limit: Duration,
    interruption: &Interruption,
) -> Outcome {
    measure_under(&[], program, request, limit, interruption)
}

/// [`measure`], with another command in front of the program: that command runs the child.
pub(crate) fn measure_under(
    words: &[OsString],
    program: &Path,
    request: &Request,
    limit: Duration,
    interruption: &Interruption,
) -> Outcome {
    let deadline = Instant::now() + limit;
    tree::adopt();
    let mut command = match words {
        [] => {
            let mut command = Command::new(program);
            command.arg0("lab");
            command
        }
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
    };
    let mut child = command
        .arg("child")
        .env(tree::MARK, std::process::id().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory => (
                Status::Refused,
                format!("the system refused a process ({error})"),
            ),
            _ => (Status::Crashed, format!("cannot be started ({error})")),
        })?;
    let group = Pid::from_child(&child);
    interruption.running(group);
    let outcome = converse(&mut child, group, request, deadline, limit);
    interruption.end_group();
    // Reap it only now, so that no other process can have reused its id.
    let reaped = child.wait();
    // Kill what a killed child's peer had started, and what left the group.
    tree::end_marked();
    if !matches!(&outcome, Ok(conversation) if conversation.answer.is_some()) {
        scratch::remove_folders_of(group);
    }
    let Conversation { answer, stderr } = outcome?;
    let tail = || {
        let text = stderr.recv_timeout(GRACE).unwrap_or_default();
        last_line(&text)
    };
    match (answer, reaped) {
        (Some(answer), Ok(status)) if status.success() => match answer {
            Answer::Result(measured) => Ok(*measured),
            Answer::Failure { status, error } => Err((status, one_line(&error))),
            Answer::Progress { .. } => Err((Status::Crashed, "gave no answer".to_owned())),
        },
        (Some(_), Ok(status)) => Err((
            Status::Crashed,
            format!("{} after its answer{}", ending(status), tail()),
        )),
        (None, Ok(status)) => {
            let tail = tail();
            // The standard library prints this when an allocation fails, before it aborts.
            if tail.starts_with(": memory allocation of") {
                return Err((Status::Refused, tail.trim_start_matches(": ").to_owned()));
            }
            Err((Status::Crashed, format!("{}{tail}", ending(status))))
        }
        (_, Err(error)) => Err((Status::Crashed, format!("cannot be waited for ({error})"))),
    }
}

struct Conversation {
    answer: Option<Answer>,
    stderr: Receiver<String>,
}

/// Sends the request and collects the answer. Returns when the child has exited but is not yet reaped.
fn converse(
    child: &mut Child,
    group: Pid,
    request: &Request,
    deadline: Instant,
    limit: Duration,
) -> Result<Conversation, (Status, String)> {
    let timed_out = || {
        let seconds = limit.as_secs_f64();
        (
            Status::TimedOut,
            format!("no answer within {seconds:.1} s; killed"),
        )
    };
    let broken = |what: &str| (Status::Crashed, what.to_owned());
    let no_thread = |error: io::Error| {
        (
            Status::Refused,
            format!("the system refused a thread to listen to it ({error})"),
        )
    };
    let stdout = child.stdout.take().ok_or_else(|| broken("has no output"))?;
    let lines = lines_of(stdout).map_err(no_thread)?;
    let stderr = child
        .stderr
        .take()
        .ok_or_else(|| broken("has no standard error"))?;
    let stderr = tail_of(stderr).map_err(no_thread)?;
    // Keep it open until the end, because closing it tells the child to die.
    let mut stdin = child.stdin.take().ok_or_else(|| broken("has no input"))?;
    let mut line = serde_json::to_vec(request).map_err(|error| broken(&error.to_string()))?;
    line.push(b'\n');
    // A write to a child that died at once fails. Its exit status explains more than this error.
    let _ = stdin.write_all(&line).and_then(|()| stdin.flush());

    let mut answer = None;
    let mut deadline = deadline;
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => match serde_json::from_str(&line) {
                Ok(Answer::Progress { .. }) => {}
                Ok(last) => {
                    answer = Some(last);
                    deadline = deadline.max(Instant::now() + GRACE);
                }
                Err(error) => {
                    let start: String = line.chars().take(60).collect();
                    return Err((
                        Status::Crashed,
                        format!(
                            "said `{}`, which is not a valid answer ({error})",
                            start.escape_debug()
                        ),
                    ));
                }
            },
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) if answer.is_some() => {
                return Err(broken("does not exit after its answer; killed"));
            }
            Err(RecvTimeoutError::Timeout) => return Err(timed_out()),
        }
    }
    // Its output has closed, so it is about to exit. Wait without reaping it, so that its group keeps its id.
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    let deadline = deadline.max(Instant::now() + GRACE);
    while let Ok(None) = waitid(WaitId::Pid(group), options) {
        if Instant::now() >= deadline {
            return Err(timed_out());
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(Conversation { answer, stderr })
}

/// Reads its output line by line, until the child closes it or the receiver is gone.
pub(crate) fn lines_of(stdout: ChildStdout) -> io::Result<Receiver<String>> {
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new().spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // The receiver is gone once the lab has its answer or has given up on the child.
            if sender.send(line).is_err() {
                break;
            }
        }
    })?;
    Ok(receiver)
}

/// Reads standard error to its end, so that the child never blocks on it, and sends the last part.
pub(crate) fn tail_of(mut stderr: ChildStderr) -> io::Result<Receiver<String>> {
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new().spawn(move || {
        let mut tail = Vec::new();
        let mut chunk = [0_u8; 4096];
        while let Ok(count @ 1..) = stderr.read(&mut chunk) {
            tail.extend_from_slice(&chunk[..count]);
            if tail.len() > TAIL_BYTES {
                tail.drain(..tail.len() - TAIL_BYTES);
            }
        }
        // The receiver is gone if the run succeeded.
        let _ = sender.send(String::from_utf8_lossy(&tail).into_owned());
    })?;
    Ok(receiver)
}

pub(crate) fn ending(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => {
            let name = signal_hook::low_level::signal_name(signal).unwrap_or("unnamed signal");
            format!("killed by signal {signal} ({name})")
        }
        (None, Some(0)) => "exited without an answer".to_owned(),
        (None, Some(code)) => format!("exited with code {code}"),
        (None, None) => "ended".to_owned(),
    }
}

pub(crate) fn last_line(text: &str) -> String {
    text.lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with("note: run with `RUST_BACKTRACE"))
        .map(|line| format!(": {}", one_line(line)))
        .unwrap_or_default()
}

/// An error as it can appear in a table: no control characters, and limited in length.
pub(crate) fn one_line(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .take(400)
        .collect();
    line.trim().to_owned()
}
