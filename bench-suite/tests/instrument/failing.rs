//! Runs that crash, hang, lie or are unavailable.

use std::fs;

use bench_suite::results::Status;

use crate::process::{code, eventually, folder, is_dead, last_line, pids, results, run, stderr};

/// The tests that `main` runs.
pub(crate) const TESTS: &[(&str, fn())] = &[
    (
        "a_crash_is_one_line_and_loses_no_results",
        a_crash_is_one_line_and_loses_no_results,
    ),
    (
        "a_killed_child_is_named_with_its_signal",
        a_killed_child_is_named_with_its_signal,
    ),
    (
        "a_hanging_child_is_killed_with_its_group",
        a_hanging_child_is_killed_with_its_group,
    ),
    (
        "a_wrong_answer_is_a_failed_run",
        a_wrong_answer_is_a_failed_run,
    ),
    (
        "a_peer_that_is_not_installed_is_shown",
        a_peer_that_is_not_installed_is_shown,
    ),
];

fn a_crash_is_one_line_and_loses_no_results() {
    let folder = folder();
    let output = run(
        folder.path(),
        &[
            "compare",
            "faulty",
            "--runtime",
            "plain,crashes",
            "--rounds",
            "5",
            "--no-progress",
        ],
    );
    assert_eq!(code(&output), 1);
    let message = stderr(&output);
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(
        message.contains("faulty under crashes: crashed: panicked: on purpose"),
        "{message}"
    );
    let results = results(folder.path());
    let count = |runtime: &str, status| {
        results
            .runs
            .iter()
            .filter(|run| run.runtime == runtime && run.status == status)
            .count()
    };
    assert_eq!(count("plain", Status::Ok), 10);
    assert_eq!(count("crashes", Status::Crashed), 3, "given up after three");
    let crashed = results
        .comparisons
        .iter()
        .find(|one| one.runtime == "crashes")
        .unwrap();
    assert_eq!(crashed.ratio, None);
}

fn a_killed_child_is_named_with_its_signal() {
    let folder = folder();
    let output = run(
        folder.path(),
        &[
            "compare",
            "faulty",
            "--runtime",
            "plain,dies",
            "--rounds",
            "1",
            "--no-progress",
        ],
    );
    assert_eq!(code(&output), 1);
    assert!(
        last_line(&output).contains("killed by signal 9 (SIGKILL)"),
        "{}",
        stderr(&output)
    );
    assert_eq!(
        results(folder.path())
            .runs
            .iter()
            .filter(|run| run.status == Status::Ok)
            .count(),
        2
    );
}

fn a_hanging_child_is_killed_with_its_group() {
    let folder = folder();
    let output = run(
        folder.path(),
        &["compare", "faulty", "--runtime", "plain,hangs", "--quick"],
    );
    assert_eq!(code(&output), 1);
    assert!(
        last_line(&output).contains("no answer within"),
        "{}",
        stderr(&output)
    );
    let results = results(folder.path());
    let hung: Vec<_> = results
        .runs
        .iter()
        .filter(|run| run.runtime == "hangs")
        .collect();
    assert_eq!((hung.len(), hung[0].status), (1, Status::TimedOut));
    for pid in pids(folder.path()) {
        eventually("the group is killed", || is_dead(pid));
    }
}

fn a_wrong_answer_is_a_failed_run() {
    let folder = folder();
    let output = run(
        folder.path(),
        &[
            "compare",
            "faulty",
            "--runtime",
            "plain,lies",
            "--rounds",
            "1",
        ],
    );
    assert_eq!(code(&output), 1);
    assert!(
        last_line(&output).contains("wrong answer: sum 41, expected 42"),
        "{}",
        stderr(&output)
    );
    let results = results(folder.path());
    let lied = results
        .runs
        .iter()
        .find(|run| run.runtime == "lies")
        .unwrap();
    assert_eq!(
        (lied.status, lied.wall_ns, lied.ops),
        (Status::WrongAnswer, None, None)
    );
}

fn a_peer_that_is_not_installed_is_shown() {
    let folder = folder();
    let output = run(
        folder.path(),
        &[
            "compare",
            "faulty",
            "sum",
            "--runtime",
            "plain,missing",
            "--rounds",
            "2",
        ],
    );
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("apt install missing"), "{printed}");
    assert!(printed.contains("missing has no sum"), "{printed}");
    let report = fs::read_to_string(folder.path().join("lab-out/report.html")).unwrap();
    assert!(report.contains("apt install missing") && report.contains("missing has no sum"));
}
