//! System calls from `strace`, where the kernel's events are not available. Every user may ptrace their own children,
//! unless a sandbox forbids it.
//!
//! The traced process marks the ends of its timed part by looking for files that don't exist. Between the marks, the
//! calls of its own threads are counted, but not those of processes that it started, such as the load generator.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use rustix::fs::{Access, access};

const BEGINS: &str = "/lab-counted-part-begins";
const ENDS: &str = "/lab-counted-part-ends";

/// Makes the system call that marks the start of a timed part.
pub(super) fn begin() {
    // The file does not exist, as intended.
    let _ = access(BEGINS, Access::EXISTS);
}

/// Makes the system call that marks the end of a timed part.
pub(super) fn end() {
    let _ = access(ENDS, Access::EXISTS);
}

/// The command line that runs a program under strace. The trace goes into `folder`.
pub(crate) fn command(folder: &Path) -> Vec<OsString> {
    let words = ["strace", "-f", "-qq", "-e", "signal=none", "-o"];
    let mut words: Vec<OsString> = words.map(OsString::from).to_vec();
    words.push(folder.join("trace").into());
    words
}

/// Whether strace is installed and allowed to trace.
pub(crate) fn is_allowed() -> bool {
    let tried = std::process::Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "true"])
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status();
    tried.is_ok_and(|status| status.success())
}

/// The system calls in all timed parts; `None` if there are none.
pub(crate) fn syscalls(folder: &Path) -> Option<u64> {
    count(&fs::read_to_string(folder.join("trace")).ok()?)
}

fn count(trace: &str) -> Option<u64> {
    // The threads of the traced process, which is the first one in the trace.
    let mut threads: BTreeSet<&str> = BTreeSet::new();
    // Threads that are in the middle of starting another thread.
    let mut starting: BTreeMap<&str, bool> = BTreeMap::new();
    let (mut counts, mut parts, mut calls) = (false, 0, 0);
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else {
            continue;
        };
        let call = call.trim_start();
        if threads.is_empty() {
            threads.insert(thread);
        }
        if !threads.contains(thread) {
            continue;
        }
        let resumed = call.starts_with("<...");
        if call.starts_with("clone") {
            starting.insert(thread, call.contains("CLONE_THREAD"));
        }
        if call.starts_with("clone") || call.contains("clone") && resumed {
            let started = call.rsplit_once(" = ").map(|(_, number)| number.trim());
            if let Some(started) = started.filter(|_| starting.get(thread) == Some(&true)) {
                threads.insert(started);
            }
        }
        if call.contains(BEGINS) {
            counts = true;
        } else if call.contains(ENDS) {
            counts = false;
            parts += 1;
        } else if counts && !resumed && !call.starts_with("+++") && !call.starts_with("---") {
            calls += 1;
        }
    }
    (parts > 0).then_some(calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = r#"100  execve("/x/lab", ["lab", "child"], 0x7ffd /* 3 vars */) = 0
100  clone3({flags=CLONE_VM|CLONE_FS|CLONE_THREAD|CLONE_SETTLS, stack_size=0x1ff} <unfinished ...>
101  set_robust_list(0x7f, 24 <unfinished ...>
100  <... clone3 resumed> => {parent_tid=[101]}, 88) = 101
101  <... set_robust_list resumed>) = 0
100  clone3({flags=CLONE_VM|CLONE_VFORK, exit_signal=SIGCHLD, stack=0x7f} => {parent_tid=[0]}, 88) = 102
102  execve("/x/lab", ["load"], 0x7ffd /* 3 vars */) = 0
101  futex(0x7f, FUTEX_WAIT_PRIVATE, 0, NULL <unfinished ...>
100  access("/lab-counted-part-begins", F_OK) = -1 ENOENT (No such file or directory)
100  futex(0x7f, FUTEX_WAKE_PRIVATE, 1) = 1
101  <... futex resumed>) = 0
102  write(1, "x", 1) = 1
101  write(3, "clone", 5 <unfinished ...>
101  <... write resumed>) = 5
101  exit(0) = ?
101  +++ exited with 0 +++
100  access("/lab-counted-part-ends", F_OK) = -1 ENOENT (No such file or directory)
100  write(1, "{}", 2) = 2
"#;

    #[test]
    fn calls_of_its_threads_between_the_marks_are_counted_once() {
        // A futex, a write and an exit. Neither the load generator's write nor the resumed call counts.
        assert_eq!(count(TRACE), Some(3));
        assert_eq!(count(""), None);
        assert_eq!(count(&TRACE[..200]), None);
    }

    #[test]
    fn a_thread_that_another_process_started_is_not_counted() {
        let other = TRACE.replace("101  write(3", "103  write(3");
        assert_eq!(count(&other), Some(2));
    }
}
