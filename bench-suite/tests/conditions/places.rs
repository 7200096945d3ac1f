//! Where results go if their folder is full or in use by another run.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use bench_suite::results::Results;
use rustix::process::Signal;

use crate::process::{QUICK, assert_code, folder, lab, results, signal, stderr};

#[test]
fn two_runs_in_one_folder_do_not_mix() {
    let folder = folder();
    let line = "compare hash --size 1 --runtime n1 --rounds 1000";
    let mut first = lab(folder.path(), line)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(first.stderr.take().unwrap()).lines();
    let mut wait_for = |text: &str| {
        let mut lines = lines.by_ref().map_while(Result::ok);
        assert!(lines.any(|line| line.contains(text)), "{text}");
    };
    wait_for("round 1 of");
    let second = lab(folder.path(), QUICK).output().unwrap();
    assert_code(&second, 2);
    assert!(
        stderr(&second).contains("another run writes there"),
        "{}",
        stderr(&second)
    );
    wait_for("round 2 of");
    signal(&first, Signal::INT);
    assert_eq!(first.wait().unwrap().code(), Some(130));
    assert!(
        results(&folder.path().join("lab-out/results.json"))
            .runs
            .len()
            >= 2
    );
    // The folder is free again.
    assert_code(&lab(folder.path(), QUICK).output().unwrap(), 0);
}

#[test]
fn a_full_disk_loses_no_measurement() {
    let folder = folder();
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir_all(folder.path().join("lab-out")).unwrap();
    fs::create_dir(&elsewhere).unwrap();
    // A private mount with a separate disk that has one free page: enough for empty files only.
    let script = "mount -t tmpfs -o size=16k none lab-out || exit 99; \
        head -c 12k /dev/zero >lab-out/filler; exec \"$0\" \"$@\"";
    let mut command = Command::new("unshare");
    if !rustix::process::getuid().is_root() {
        command.arg("--map-root-user");
    }
    let output = command
        .args(["--mount", "sh", "-c", script, env!("CARGO_BIN_EXE_lab")])
        .args(QUICK.split_whitespace())
        .current_dir(folder.path())
        .env("TMPDIR", &elsewhere)
        .output();
    let Ok(output) = output else {
        println!("there is no `unshare` here");
        return;
    };
    if output.status.code() == Some(99) || stderr(&output).starts_with("unshare") {
        println!("no disk can be mounted here: {}", stderr(&output));
        return;
    }
    assert_code(&output, 1);
    let message = stderr(&output);
    assert!(
        message.contains("cannot write lab-out/results.json"),
        "{message}"
    );
    let place = message.trim().rsplit(' ').next().unwrap();
    assert!(place.starts_with(elsewhere.to_str().unwrap()), "{message}");
    let kept = Results::read(place.as_ref()).unwrap();
    assert_eq!(kept.runs.len(), 2);
    // What was measured is also printed.
    assert!(output.stdout.len() > 100);
}

#[test]
fn invalid_results_are_one_line_and_code_2() {
    let folder = folder();
    assert_code(&lab(folder.path(), QUICK).output().unwrap(), 0);
    let good = fs::read_to_string(folder.path().join("lab-out/results.json")).unwrap();
    let wall = good.find("\"wall_ns\":").unwrap() + "\"wall_ns\":".len();
    let with = |value: &str| {
        let end = wall + good[wall..].find(',').unwrap();
        format!("{}{value}{}", &good[..wall], &good[end..])
    };
    for (text, part) in [
        (good[..good.len() / 2].to_owned(), "is truncated"),
        (String::new(), "is truncated"),
        (
            good.replacen("lab.results/1", "lab.results/2", 1),
            "lab.results/2",
        ),
        (with("-1"), "does not follow"),
        (with("1e400"), "not JSON"),
        (with("NaN"), "not JSON"),
        (with("999999999999999999"), "wall_ns is 999999999999999999"),
        ("\u{feff}{}".to_owned(), "not JSON"),
    ] {
        fs::write(folder.path().join("bad.json"), text).unwrap();
        for line in [
            "report bad.json --out page",
            "diff bad.json lab-out/results.json",
            "diff lab-out/results.json bad.json",
            "merge lab-out/results.json bad.json --json x.json",
        ] {
            let output = lab(folder.path(), line).output().unwrap();
            assert_code(&output, 2);
            let message = stderr(&output);
            assert!(
                message.contains("bad.json") && message.contains(part),
                "{line}: {message}"
            );
        }
    }
    assert!(!folder.path().join("x.json").exists());
}
