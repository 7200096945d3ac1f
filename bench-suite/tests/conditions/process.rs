//! Starts and inspects the program.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use bench_suite::results::Results;
use rustix::process::{Pid, Signal, kill_process};

/// A comparison that takes a moment. The workload has its smallest size.
pub(crate) const QUICK: &str =
    "compare hash --size 1 --runtime n1 --quick --rounds 1 --no-progress";
/// A sweep that takes a moment.
pub(crate) const SWEEP: &str =
    "sweep --workload spawn --size 1 --runtime mn --workers 1,2 --quick --rounds 1 --no-progress";

/// Commands with their own tables, which take a moment each.
pub(crate) const MEMORY: &str =
    "memory --runtime n1 --state idle --tasks 10,20 --rounds 1 --no-progress";
pub(crate) const SCALE: &str =
    "scale spawn --size 1 --runtime mn --workers 1,2 --rounds 1 --no-progress";

pub(crate) fn lab(folder: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
    command
        .args(line.split_whitespace())
        .current_dir(folder)
        .env_remove("COLUMNS")
        .stdin(Stdio::null());
    command
}

/// The same under a shell that first runs `before`, such as setting a limit.
pub(crate) fn lab_after(folder: &Path, before: &str, line: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("{before}; exec \"$0\" \"$@\""))
        .arg(env!("CARGO_BIN_EXE_lab"))
        .args(line.split_whitespace())
        .current_dir(folder)
        .stdin(Stdio::null());
    command
}

pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Asserts that it exited by itself with this code, with at most one line of explanation.
pub(crate) fn assert_code(output: &Output, code: i32) {
    let message = stderr(output);
    assert_eq!(output.status.signal(), None, "{message}");
    assert_eq!(output.status.code(), Some(code), "{message}");
    assert!(!message.contains("panicked"), "{message}");
    let lines = usize::from(code != 0);
    assert_eq!(message.lines().count(), lines, "{message}");
}

pub(crate) fn results(path: &Path) -> Results {
    Results::read(path).unwrap_or_else(|error| panic!("{error}"))
}

/// Asserts that all results and the report exist, as after any run.
pub(crate) fn assert_kept(folder: &Path) {
    let results = results(&folder.join("lab-out/results.json"));
    assert!(!results.runs.is_empty());
    assert!(folder.join("lab-out/report.html").exists());
}

pub(crate) fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// An echo server in this process that counts its answers.
pub(crate) struct Echo {
    pub(crate) address: String,
    pub(crate) answered: Arc<AtomicU64>,
}

impl Echo {
    pub(crate) fn start() -> Self {
        Self::with(|stream, answered| {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = std::io::Read::read(&mut &stream, &mut buffer) {
                if std::io::Write::write_all(&mut &stream, &buffer[..length]).is_err() {
                    break;
                }
                answered.fetch_add(1, Ordering::Relaxed);
            }
        })
    }

    /// A server that accepts connections and answers nothing.
    pub(crate) fn silent() -> Self {
        Self::with(|stream, answered| {
            answered.fetch_add(1, Ordering::Relaxed);
            let _ = std::io::Read::read_to_end(&mut &stream, &mut Vec::new());
        })
    }

    fn with(converse: fn(TcpStream, &AtomicU64)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let answered = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&answered);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let counter = Arc::clone(&counter);
                thread::spawn(move || converse(stream, &counter));
            }
        });
        Self { address, answered }
    }

    pub(crate) fn wait_for(&self, messages: u64) {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while self.answered.load(Ordering::Relaxed) < messages {
            assert!(std::time::Instant::now() < deadline, "nobody sends");
            thread::sleep(std::time::Duration::from_millis(2));
        }
    }
}

/// A running `lab serve`.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
}

impl Server {
    pub(crate) fn start(folder: &Path, line: &str) -> Self {
        let mut child = lab(folder, line).stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut ready)
            .unwrap();
        let address = ready.strip_prefix("listening ").expect("it listens");
        Self {
            address: address.trim().to_owned(),
            child,
        }
    }

    pub(crate) fn end(mut self, with: Signal) -> Option<i32> {
        signal(&self.child, with);
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The names in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
