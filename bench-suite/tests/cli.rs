//! The `lab` command as users run it: every command, wrong usage, and short measurements of the real workloads.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use bench_suite::results::{Results, Role, Status};
use rustix::process::{Pid, Signal};

fn command(folder: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
    command
        .args(line.split_whitespace())
        .current_dir(folder)
        .stdin(Stdio::null());
    command
}

fn lab(folder: &Path, line: &str) -> Output {
    command(folder, line).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Asserts that `line` fails with exit code 2 and one line on standard error that contains all of `parts`.
fn assert_usage(folder: &Path, line: &str, parts: &[&str]) {
    let output = lab(folder, line);
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "lab {line}: {message}");
    assert_eq!(message.lines().count(), 1, "lab {line}: {message}");
    for part in parts {
        assert!(message.contains(part), "lab {line}: {message}");
    }
}

#[test]
fn list_names_every_workload_and_runtime_of_the_default_matrix() {
    let folder = folder();
    let text = stdout(&lab(folder.path(), "list"));
    let json: serde_json::Value =
        serde_json::from_slice(&lab(folder.path(), "list --json").stdout).unwrap();
    let names = |list: &str| -> Vec<String> {
        let items = json[list].as_array().unwrap();
        items
            .iter()
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect()
    };
    for workload in [
        "echo",
        "http",
        "crawl",
        "download",
        "fib-spawn",
        "skynet-spawn",
        "matmul",
        "hash",
    ] {
        assert!(
            text.contains(workload) && names("workloads").iter().any(|name| name == workload),
            "{workload}"
        );
    }
    for runtime in ["n1", "mn", "threads", "tokio-mt"] {
        assert!(
            text.contains(runtime) && names("runtimes").iter().any(|name| name == runtime),
            "{runtime}"
        );
    }
    assert!(json["metrics"].as_array().unwrap().len() > 4);
    assert!(json["policies"].is_array());
}

#[test]
fn help_of_each_command_shows_examples() {
    let folder = folder();
    for line in [
        "--help",
        "list --help",
        "compare --help",
        "serve --help",
        "load --help",
        "report --help",
        "diff --help",
        "prove --help",
    ] {
        let output = lab(folder.path(), line);
        assert_eq!(output.status.code(), Some(0), "{line}");
        assert!(stdout(&output).contains("Examples:"), "{line}");
    }
}

#[test]
fn wrong_usage_is_one_line_and_exit_code_2() {
    let folder = folder();
    let folder = folder.path();
    assert_usage(folder, "comapre", &["did you mean `compare`"]);
    assert_usage(
        folder,
        "compare ecoh",
        &["unknown workload `ecoh`", "did you mean `echo`", "lab list"],
    );
    assert_usage(
        folder,
        "compare echo --runtime nm",
        &["unknown runtime `nm`"],
    );
    assert_usage(
        folder,
        "compare hash --param speed=3",
        &["no parameter `speed`", "there are: "],
    );
    assert_usage(folder, "compare hash --size 0", &["size=0 is out of range"]);
    assert_usage(
        folder,
        "compare hash --size 18446744073709551615",
        &["is out of range"],
    );
    assert_usage(
        folder,
        "compare hash --workers 99999",
        &["--workers 99999 is out of range"],
    );
    assert_usage(
        folder,
        "compare hash --quick --full",
        &["cannot be used with"],
    );
    assert_usage(
        folder,
        "compare hash --margin 0",
        &["--margin 0 is out of range"],
    );
    assert_usage(
        folder,
        "compare --margin -1",
        &["--margin -1 is out of range"],
    );
    for line in ["capacity --p99-ms -1", "advise --p99-ms -1"] {
        assert_usage(folder, line, &["--p99-ms -1"]);
    }
    for line in ["compare --budget-ms 0", "compare --budget-ms 600001"] {
        assert_usage(folder, line, &["--budget-ms ", "out of range; 1 to 600000"]);
    }
    assert_usage(
        folder,
        "compare hash --runtime mn --baseline n1",
        &["--baseline n1 is not measured"],
    );
    assert_usage(
        folder,
        "compare hash --baseline nm",
        &["unknown baseline `nm`"],
    );
    assert_usage(
        folder,
        "compare hash --binary before=nowhere/lab",
        &["--binary before", "cannot be run"],
    );
    assert_usage(
        folder,
        "diff missing.json other.json",
        &["missing.json", "cannot be read"],
    );
    assert_usage(
        folder,
        "compare hash --out /dev/null/x",
        &["--out /dev/null/x"],
    );
    assert_usage(folder, "serve echo --addr 127.0.0.1:0", &["--runtime"]);
    assert_usage(
        folder,
        "serve echo --runtime tokoi-mt --addr 127.0.0.1:0",
        &["tokoi-mt"],
    );
    assert_usage(
        folder,
        "serve echo --runtime tokio-mt --addr nowhere",
        &["nowhere"],
    );
    assert_usage(
        folder,
        "load echo --addr 127.0.0.1:1 --rate 5 --closed",
        &["cannot be used with"],
    );
    assert_usage(
        folder,
        "report missing.json --out out",
        &["missing.json", "cannot be read"],
    );
    assert_eq!(
        fs::read_dir(folder).unwrap().count(),
        0,
        "nothing was written"
    );
}

#[test]
fn results_that_are_damaged_or_foreign_are_refused_in_one_line() {
    let folder = folder();
    fs::write(
        folder.path().join("cut.json"),
        r#"{"schema":"lab.results/1","runs":[{"#,
    )
    .unwrap();
    assert_usage(
        folder.path(),
        "report cut.json --out out",
        &["cut.json", "is truncated"],
    );
    fs::write(
        folder.path().join("new.json"),
        r#"{"schema":"lab.results/9"}"#,
    )
    .unwrap();
    assert_usage(
        folder.path(),
        "report new.json --out out",
        &["new.json", "lab.results/9", "lab.results/1"],
    );
    assert_usage(folder.path(), "diff new.json new.json", &["lab.results/9"]);
}

#[test]
fn another_build_is_measured_in_the_same_run_and_stored_results_are_compared() {
    let folder = folder();
    let other = env!("CARGO_BIN_EXE_lab");
    let line = format!(
        "compare yield --runtime n1 --binary before={other} --rounds 6 --csv - --json old.json --no-progress"
    );
    let output = lab(folder.path(), &line);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let results = Results::read(&folder.path().join("old.json")).unwrap();
    // Both builds, and the first one again as the A/A arm.
    assert_eq!(results.runs.len(), 6 * 3);
    let builds: Vec<&str> = results
        .environments
        .iter()
        .map(|environment| environment.id.as_str())
        .collect();
    assert_eq!(builds, ["e1", "before"]);
    let new = results
        .comparisons
        .iter()
        .find(|one| one.role == Role::Arm && one.metric == "wall_ns_per_op")
        .unwrap();
    assert_eq!(new.config.binary, None);
    assert_eq!(new.baseline_config.binary.as_deref(), Some("before"));
    let csv = stdout(&output);
    assert_eq!(csv.lines().count(), 1 + results.comparisons.len(), "{csv}");

    let output = lab(folder.path(), "diff old.json old.json");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("yield"), "{}", stdout(&output));
    // A thousand times slower is far above any noise.
    let mut slower = results.clone();
    for run in &mut slower.runs {
        run.wall_ns = run.wall_ns.map(|time| time * 1000);
    }
    slower.write(&folder.path().join("new.json")).unwrap();
    let output = lab(folder.path(), "diff old.json new.json");
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    assert!(
        stderr(&output).contains("regression"),
        "{}",
        stderr(&output)
    );
    assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
}

#[test]
fn a_short_proof_writes_a_certificate_that_reports_in_its_folder_show() {
    let folder = folder();
    let output = lab(
        folder.path(),
        "prove --quick --tables 12 --blocks 1 --seed 5 --no-progress",
    );
    // Only a quiet machine is sure to meet the goals, so accept both codes.
    let code = output.status.code();
    assert!(matches!(code, Some(0 | 1)), "{}", stderr(&output));
    let text = fs::read_to_string(folder.path().join("lab-out/certificate.json")).unwrap();
    let certificate: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(certificate["environment"]["seed"], 5);
    assert!(certificate["real"]["processes"].as_u64() >= Some(60));
    let output = lab(
        folder.path(),
        "compare yield --runtime n1 --quick --rounds 1 --no-progress",
    );
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        stdout(&output).contains("quick form on "),
        "{}",
        stdout(&output)
    );
    let page = fs::read_to_string(folder.path().join("lab-out/report.html")).unwrap();
    assert!(page.contains("quick form on "));
}

#[test]
fn a_short_comparison_is_printed_stored_and_reported_again() {
    let folder = folder();
    let line = "compare hash echo --runtime tokio-mt,tokio-ct --rounds 2 --quick --seed 11 --json also.json";
    let output = lab(folder.path(), line);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    for part in [
        "IO-bound",
        "CPU-bound",
        "tokio-ct",
        "again (A/A)",
        "not enough data",
        "signed-rank",
        "by `lab prove`",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(
        text.trim_end().ends_with("report: lab-out/report.html"),
        "{text}"
    );

    let results = Results::read(&folder.path().join("also.json")).unwrap();
    assert_eq!(
        results,
        Results::read(&folder.path().join("lab-out/results.json")).unwrap()
    );
    assert_eq!(results.runs.len(), 2 * 2 * 3);
    let environment = &results.environments[0];
    assert!(environment.versions.contains_key("tokio"));
    assert!(
        environment
            .program
            .as_deref()
            .is_some_and(|program| program.starts_with("lab "))
    );
    for run in &results.runs {
        assert_eq!(
            (run.status, run.error.as_deref()),
            (Status::Ok, None),
            "{run:?}"
        );
        assert!(
            run.ops > Some(0) && run.wall_ns > Some(0) && run.cpu_ns > Some(0),
            "{run:?}"
        );
    }
    assert!(
        results
            .comparisons
            .iter()
            .any(|one| one.role == Role::Repeat)
    );
    // Client and server share the cores, so time must not be judged.
    let echo = results
        .runs
        .iter()
        .find(|run| run.workload == "echo")
        .unwrap();
    assert!(
        echo.flags.iter().any(|flag| flag == "shares_cores"),
        "{:?}",
        echo.flags
    );
    for one in results
        .comparisons
        .iter()
        .filter(|one| one.workload == "echo" && one.metric == "wall_ns_per_op")
    {
        assert_eq!(one.verdict, None);
    }

    let output = lab(folder.path(), "report also.json --out again");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stdout(&output).trim(), "report: again/report.html");
    let first = fs::read_to_string(folder.path().join("lab-out/report.html")).unwrap();
    let again = fs::read_to_string(folder.path().join("again/report.html")).unwrap();
    assert!(first == again, "the same results give the same report");
    for part in ["http://", "https://"] {
        let outside =
            again.matches(part).count() - include_str!("../assets/d3.min.js").matches(part).count();
        assert_eq!(outside, 0, "the report refers to nothing outside");
    }
}

struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(folder: &Path, line: &str) -> Self {
        let mut child = command(folder, line)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut ready)
            .unwrap();
        let address = ready
            .strip_prefix("listening ")
            .unwrap_or_else(|| panic!("{ready}"))
            .trim()
            .to_owned();
        Self { child, address }
    }

    fn end(mut self, signal: Signal) -> Option<i32> {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).unwrap();
        self.child.wait().unwrap().code()
    }
}

#[test]
fn a_server_takes_load_and_ends_cleanly_on_a_signal() {
    let folder = folder();
    for (protocol, signal) in [("echo", Signal::INT), ("http", Signal::TERM)] {
        let server = Server::start(
            folder.path(),
            &format!("serve {protocol} --runtime tokio-mt --addr 127.0.0.1:0"),
        );
        let line = format!(
            "load {protocol} --addr {} --closed --connections 4 --duration 200ms --json load.json",
            server.address
        );
        let output = lab(folder.path(), &line);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let text = fs::read_to_string(folder.path().join("load.json")).unwrap();
        assert!(
            serde_json::from_str::<serde_json::Value>(&text)
                .unwrap()
                .is_object()
        );
        assert_eq!(server.end(signal), Some(0), "{protocol}");
    }
}

#[test]
fn a_port_in_use_is_one_line() {
    let folder = folder();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = lab(
        folder.path(),
        &format!("serve echo --runtime tokio-mt --addr {address}"),
    );
    let message = stderr(&output);
    assert!(matches!(output.status.code(), Some(1 | 2)), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(
        message.contains(&address) && message.contains("in use"),
        "{message}"
    );
}

#[test]
fn load_without_a_server_is_one_line() {
    let folder = folder();
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let output = lab(
        folder.path(),
        &format!("load echo --addr {free} --duration 100ms --json load.json"),
    );
    let message = stderr(&output);
    assert_ne!(output.status.code(), Some(0));
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(message.contains(&free.to_string()), "{message}");
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        0,
        "nothing was written"
    );
}
