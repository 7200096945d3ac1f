//! Signals during a load. `instrument` tests signals during a comparison, because it has workloads that hang.

use std::fs;
use std::process::Stdio;

use bench_suite::results::Status;
use rustix::process::Signal;

use crate::hang_up::hang_up;
use crate::process::{
    Echo, QUICK, assert_code, folder, lab, lab_after, names, results, signal, stdout,
};

/// Under a parent that ignores SIGCHLD, the kernel would not keep ended children, and their exit statuses would be
/// lost.
#[test]
fn children_are_seen_to_end_where_sigchld_is_ignored() {
    let folder = folder();
    // A shell handles the signal itself, so its `trap` is not enough.
    let ignoring = "exec env --ignore-signal=SIGCHLD \"$0\" \"$@\"";
    let output = lab_after(folder.path(), ignoring, QUICK).output();
    assert_code(&output.unwrap(), 0);
    let results = results(&folder.path().join("lab-out/results.json"));
    assert!(results.runs.iter().all(|run| run.status == Status::Ok));
}

#[test]
fn an_interrupted_load_reports_its_figures_so_far() {
    for (with, pace) in [
        (Signal::INT, "--closed"),
        (Signal::TERM, "--rate 2000"),
        (hang_up(), "--closed"),
    ] {
        let folder = folder();
        let server = Echo::start();
        let line = format!(
            "load echo --addr {} {pace} --connections 2 --duration 600 --json load.json",
            server.address
        );
        let child = lab(folder.path(), &line)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        server.wait_for(100);
        signal(&child, with);
        let output = child.wait_with_output().unwrap();
        assert_code(&output, 130);
        let text = fs::read_to_string(folder.path().join("load.json")).unwrap();
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(report["interrupted"], true);
        assert!(report["requests"].as_u64() >= Some(50), "{report}");
        assert!(
            report["wall_ns"].as_u64() < Some(300_000_000_000),
            "{report}"
        );
        let said = stdout(&output);
        assert!(
            said.contains("interrupted") && said.contains("requests"),
            "{said}"
        );
    }
}

#[test]
fn a_load_that_was_interrupted_before_any_answer_writes_nothing() {
    let folder = folder();
    let server = Echo::silent();
    let line = format!(
        "load echo --addr {} --connections 1 --duration 600 --json load.json",
        server.address
    );
    let child = lab(folder.path(), &line)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    server.wait_for(1);
    signal(&child, Signal::INT);
    let output = child.wait_with_output().unwrap();
    assert_code(&output, 130);
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn a_slow_rate_is_of_the_whole_time() {
    let folder = folder();
    let server = Echo::start();
    let line = format!(
        "load echo --addr {} --rate 0.1 --duration 1 --json load.json",
        server.address
    );
    let output = lab(folder.path(), &line).output().unwrap();
    assert_code(&output, 0);
    let said = stdout(&output);
    assert!(said.contains("requests   1 (1.00 per second)"), "{said}");
    let text = fs::read_to_string(folder.path().join("load.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(
        report["wall_ns"].as_u64() >= Some(1_000_000_000),
        "{report}"
    );
}
