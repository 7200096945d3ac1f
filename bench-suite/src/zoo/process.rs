//! The process of one cell: starts it, watches it, and ends it with all its descendants.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::client::Target;
use super::pathology::{Bound, Drive};
use super::stage::Word;
use super::verdict::Verdict;
use crate::compare::interruption::Interruption;
use crate::compare::process::{ending, last_line, lines_of, tail_of};
use crate::peers::external::tree;

/// The time limit of a cell.
pub(super) const TIME: Duration = Duration::from_secs(180);

/// The memory limit of a cell.
pub(super) const MEMORY_BYTES: u64 = 6 << 30;

/// What to judge, and the limits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) bound: Bound,
    pub(crate) drive: Option<Drive>,
    pub(crate) size: u64,
    pub(crate) workers: usize,
    pub(crate) time: Duration,
    pub(crate) memory_bytes: u64,
}

/// The interval between checks of the memory.
const WATCH: Duration = Duration::from_millis(50);

/// Runs `command`, which is the program of one cell, until it has a figure. Call it from the main thread, because a
/// child gets its death signal when the thread that started it ends.
pub(crate) fn run(command: Command, cell: Cell, interruption: &Interruption) -> Verdict {
    run_until(command, cell, interruption, |_| {})
}

/// Like [`run`], but calls `at_end` with the process id once there is a verdict, before the lab ends the process.
pub(super) fn run_until(
    mut command: Command,
    cell: Cell,
    interruption: &Interruption,
    at_end: impl FnOnce(Pid),
) -> Verdict {
    tree::adopt();
    command
        .env(tree::MARK, std::process::id().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Verdict::failed(format!("can't be started ({error})")),
    };
    let group = Pid::from_child(&child);
    interruption.running(group);
    let target = Target {
        port: 0,
        id: child.id(),
        workers: cell.workers,
        size: cell.size,
    };
    let stderr = child.stderr.take().and_then(|pipe| tail_of(pipe).ok());
    let outcome = match child.stdout.take().map(lines_of) {
        Some(Ok(lines)) => watch(&lines, cell, target),
        _ => Outcome::Said(Word::Failed("the lab can't listen to it".to_owned())),
    };
    let by_itself = matches!(outcome, Outcome::Ended) && ended(group);
    // The process is not reaped yet, so the id is still its own.
    at_end(group);
    interruption.end_group();
    let status = child.wait();
    tree::end_marked();
    match outcome {
        Outcome::Said(Word::Value(value)) => Verdict::on(cell.bound, value, cell.size),
        Outcome::Said(Word::Failed(why)) => Verdict::failed(why),
        Outcome::Said(Word::Cannot(why)) => Verdict::CannotRun { why },
        Outcome::Said(Word::Listening(_)) | Outcome::Ended => {
            let text = stderr.map(|text| text.recv_timeout(Duration::from_secs(3)));
            let tail = last_line(&text.and_then(Result::ok).unwrap_or_default());
            match status {
                Ok(status) if by_itself => Verdict::failed(format!("{}{tail}", ending(status))),
                _ => Verdict::failed(format!("closed its output{tail}")),
            }
        }
    }
}

enum Outcome {
    Said(Word),
    /// Its output has ended.
    Ended,
}

/// Reads until there is a figure, a limit is reached, or the process ends.
fn watch(lines: &Receiver<String>, cell: Cell, mut target: Target) -> Outcome {
    let deadline = Instant::now() + cell.time;
    let mut driven: Option<Receiver<Result<f64, String>>> = None;
    loop {
        match lines.recv_timeout(WATCH) {
            Ok(line) => match (serde_json::from_str(&line), cell.drive) {
                (Ok(Word::Listening(port)), Some(drive)) => {
                    target.port = port;
                    let (give, figure) = mpsc::channel();
                    thread::spawn(move || {
                        // After a limit, nobody waits for the result.
                        let _ = give.send(drive(&target));
                    });
                    driven = Some(figure);
                }
                (Ok(word), _) => return Outcome::Said(word),
                (Err(_), _) => {
                    let start: String = line.chars().take(60).collect();
                    let why = format!(
                        "said `{}`, which is not a valid answer",
                        start.escape_debug()
                    );
                    return Outcome::Said(Word::Failed(why));
                }
            },
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Outcome::Ended,
        }
        if let Some(Ok(figure)) = driven.as_ref().map(Receiver::try_recv) {
            return Outcome::Said(match figure {
                Ok(value) => Word::Value(value),
                Err(why) => Word::Failed(why),
            });
        }
        if Instant::now() >= deadline {
            let why = format!("no end within {} s", cell.time.as_secs());
            return Outcome::Said(Word::Failed(why));
        }
        let used = tree::peak_rss_bytes(target.id).unwrap_or(0);
        if used > cell.memory_bytes {
            let mebibytes = cell.memory_bytes >> 20;
            return Outcome::Said(Word::Failed(format!(
                "took more than {mebibytes} MiB of memory"
            )));
        }
    }
}

/// Waits a moment for the exit of a process whose output has ended, without reaping it.
fn ended(group: Pid) -> bool {
    let deadline = Instant::now() + Duration::from_secs(1);
    while Instant::now() < deadline {
        if is_dead(group) {
            return true;
        }
        thread::sleep(Duration::from_millis(1));
    }
    false
}

/// Whether a child has exited; does not reap it.
pub(super) fn is_dead(child: Pid) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    !matches!(waitid(WaitId::Pid(child), options), Ok(None))
}

/// The same command with a limit on descriptors, which its children inherit.
pub(crate) fn with_descriptors(command: Command, descriptors: Option<u64>) -> Command {
    let Some(descriptors) = descriptors else {
        return command;
    };
    let mut limited = Command::new("sh");
    limited
        .arg("-c")
        .arg(format!("ulimit -n {descriptors}; exec \"$@\""))
        .arg("sh")
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        limited.current_dir(folder);
    }
    limited
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;
    const ALL_TEN: Cell = Cell {
        bound: Bound::All("tasks"),
        drive: None,
        size: 10,
        workers: 2,
        time: Duration::from_secs(5),
        memory_bytes: 64 << 20,
    };

    /// Runs these tests one at a time, because each ends all marked processes that this process has started.
    static ALONE: Mutex<()> = Mutex::new(());

    fn script(text: &str) -> Verdict {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut command = Command::new("sh");
        command.args(["-c", text]);
        run(command, ALL_TEN, &Interruption::default())
    }

    fn why(verdict: &Verdict) -> String {
        match verdict {
            Verdict::Fails { why: Some(why), .. } => why.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_figure_is_judged_by_the_bound() {
        let kept = script("echo '{\"value\": 10}'");
        assert_eq!(kept, Verdict::Survives { value: 10.0 });
        let missed = script("echo '{\"value\": 9}'");
        assert_eq!(missed.mark(), "FAILS");
    }

    #[test]
    fn any_other_outcome_is_a_failure_with_its_reason() {
        for (text, part) in [
            ("exit 3", "exited with code 3"),
            ("echo on fire >&2; kill -SEGV $$", "signal 11"),
            ("echo hello", "which is not a valid answer"),
            ("exec sleep 60", "no end within 5 s"),
            ("exec 1>&-; exec sleep 60", "closed its output"),
            ("exec tail /dev/zero", "MiB of memory"),
            ("echo '{\"failed\": \"no thread\"}'", "no thread"),
        ] {
            let verdict = script(text);
            assert!(why(&verdict).contains(part), "{text}: {verdict:?}");
        }
        let missing = script("echo '{\"cannot\": \"no locks\"}'");
        assert_eq!(missing.mark(), "-");
    }

    #[test]
    fn processes_that_a_program_leaves_are_ended() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("id");
        let text = format!(
            "setsid sh -c 'echo $$ >{}; exec sleep 60' & while ! [ -s {0} ]; do sleep 0.01; done; \
             echo '{{\"value\": 10}}'; wait",
            file.display()
        );
        assert_eq!(script(&text), Verdict::Survives { value: 10.0 });
        let id: i32 = std::fs::read_to_string(&file)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        // A process that has exited but is not reaped has no command line.
        let line = format!("/proc/{id}/cmdline");
        let gone = || std::fs::read(&line).unwrap_or_default().is_empty();
        for _ in 0..500 {
            if gone() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("{id} still runs");
    }

    #[test]
    fn descriptors_are_limited() {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -n"]).env("A", "b");
        let output = with_descriptors(command, Some(77)).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "77");
    }
}
