//! Signals, and parents that die.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;

use bench_suite::results::Status;
use rustix::process::{Pid, Signal};

use crate::hang_up::hang_up;
use crate::process::{eventually, folder, is_dead, lab, names, pids, results};

/// The tests that `main` runs.
pub(crate) const TESTS: &[(&str, fn())] = &[
    (
        "an_interrupted_comparison_keeps_its_results",
        an_interrupted_comparison_keeps_its_results,
    ),
    (
        "a_hang_up_that_is_ignored_stays_ignored",
        a_hang_up_that_is_ignored_stays_ignored,
    ),
    (
        "a_second_interruption_ends_at_once",
        a_second_interruption_ends_at_once,
    ),
    ("a_child_dies_with_its_parent", a_child_dies_with_its_parent),
];

/// Starts a comparison that reaches a hanging child after it has measured `plain`.
fn start_hanging(folder: &Path) -> std::process::Child {
    lab(
        folder,
        &[
            "compare",
            "faulty",
            "--runtime",
            "plain,hangs",
            "--rounds",
            "2",
            "--seed",
            "3",
        ],
    )
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap()
}

fn interrupt(child: &std::process::Child) {
    rustix::process::kill_process(Pid::from_child(child), Signal::INT).unwrap();
}

fn an_interrupted_comparison_keeps_its_results() {
    for signal in [Signal::INT, Signal::TERM, hang_up()] {
        keeps_its_results(signal);
    }
}

fn keeps_its_results(signal: Signal) {
    let folder = folder();
    let mut child = lab(
        folder.path(),
        &["compare", "sum", "--runtime", "plain", "--rounds", "1000"],
    )
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    // Wait for the line of the second round, which means that the first one is complete.
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut last = String::new();
    for line in lines.map_while(Result::ok) {
        if line.contains("round 2 of") {
            rustix::process::kill_process(Pid::from_child(&child), signal).unwrap();
        }
        last = line;
    }
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(
        last.contains("interrupted after") && last.contains("of 2000 processes"),
        "{last}"
    );
    let results = results(folder.path());
    assert!(results.runs.len() >= 2 && results.runs.iter().all(|run| run.status == Status::Ok));
    assert_eq!(
        names(&folder.path().join("lab-out")),
        ["report.html", "results.json"]
    );
}

/// Started as by `nohup`.
fn a_hang_up_that_is_ignored_stays_ignored() {
    let folder = folder();
    let program = std::env::current_exe().unwrap();
    let mut child = std::process::Command::new("sh")
        .args(["-c", "trap '' HUP; exec \"$0\" \"$@\""])
        .arg(program)
        .args(["compare", "sum", "--runtime", "plain", "--rounds", "20"])
        .current_dir(folder.path())
        .env(crate::UNDER_TEST, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    for line in lines.map_while(Result::ok) {
        if line.contains("round 2 of") {
            rustix::process::kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
        }
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(results(folder.path()).runs.len(), 40);
}

fn a_second_interruption_ends_at_once() {
    let folder = folder();
    let mut child = start_hanging(folder.path());
    let pids = pids(folder.path());
    interrupt(&child);
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    for pid in pids {
        eventually("nothing survives", || is_dead(pid));
    }
}

fn a_child_dies_with_its_parent() {
    let folder = folder();
    let mut child = start_hanging(folder.path());
    let pids = pids(folder.path());
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("the child dies with its parent", || is_dead(pids[0]));
    // If the kernel killed the child before its watch on standard input fired, nothing else kills the grandchild.
    let _ = rustix::process::kill_process(Pid::from_raw(pids[1]).unwrap(), Signal::KILL);
}
