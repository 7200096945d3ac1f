//! The instrument with a registry of its own: workloads that behave and workloads that crash, hang, lie, print and refuse.
//!
//! This test program is its own `lab`: with `LAB_UNDER_TEST` in the environment it hands its command line to
//! [`bench_suite::main`], as any other crate's binary would, so that the measured child is a real process of it.

mod schema;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, ExitCode, Output, Stdio};
use std::time::{Duration, Instant};

use bench_suite::registry::{Group, Mode, Parameter, RuntimeInfo, Workload};
use bench_suite::results::{Results, Role, Status, Verdict};
use bench_suite::{Entry, Failure, Meter, Params, Registry};
use libtest_mimic::{Arguments, Trial};
use rustix::process::{Pid, Signal};

const UNDER_TEST: &str = "LAB_UNDER_TEST";

fn main() -> ExitCode {
    if std::env::var_os(UNDER_TEST).is_some() {
        return bench_suite::main(registry());
    }
    let tests: [(&str, fn()); 16] = [
        (
            "results_follow_the_published_schema",
            results_follow_the_published_schema,
        ),
        (
            "a_verdict_takes_ten_processes",
            a_verdict_takes_ten_processes,
        ),
        (
            "the_baseline_is_measured_twice",
            the_baseline_is_measured_twice,
        ),
        ("parameters_make_a_matrix", parameters_make_a_matrix),
        (
            "a_crash_is_one_line_and_loses_nothing",
            a_crash_is_one_line_and_loses_nothing,
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
            "what_is_not_installed_is_shown",
            what_is_not_installed_is_shown,
        ),
        (
            "a_workload_that_prints_breaks_nothing",
            a_workload_that_prints_breaks_nothing,
        ),
        (
            "an_interrupted_comparison_keeps_what_it_has",
            an_interrupted_comparison_keeps_what_it_has,
        ),
        (
            "a_second_interruption_ends_at_once",
            a_second_interruption_ends_at_once,
        ),
        ("a_child_dies_with_its_parent", a_child_dies_with_its_parent),
        ("a_child_answers_by_hand", a_child_answers_by_hand),
        (
            "wrong_usage_is_found_before_measuring",
            wrong_usage_is_found_before_measuring,
        ),
        (
            "the_report_escapes_what_it_is_given",
            the_report_escapes_what_it_is_given,
        ),
    ];
    let trials = tests
        .into_iter()
        .map(|(name, test)| {
            Trial::test(name, move || {
                test();
                Ok(())
            })
        })
        .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

// The registry under test.

const SIZE: Parameter = Parameter {
    name: "size",
    about: "numbers to add up",
    default: 20_000,
    min: 1,
    max: 1_000_000,
};

fn workload(name: &'static str) -> Workload {
    Workload {
        name,
        group: Group::Cpu,
        mode: Mode::Batch,
        about: "adds numbers up",
        op: "one addition",
        parameters: const { &[SIZE] },
        metric: "wall_ns_per_op",
    }
}

fn registry() -> Registry {
    let runtime = |name| RuntimeInfo {
        name,
        about: "a test's",
        ours: true,
    };
    let entry = |workload, runtime, run| Entry {
        workload,
        runtime,
        run,
    };
    Registry {
        workloads: ["sum", "faulty", "prints"].map(workload).to_vec(),
        runtimes: [
            "plain", "double", "crashes", "dies", "hangs", "lies", "missing",
        ]
        .map(runtime)
        .to_vec(),
        entries: vec![
            entry("sum", "plain", |params, meter| sum(params, meter, 1)),
            entry("sum", "double", |params, meter| sum(params, meter, 2)),
            entry("faulty", "plain", |params, meter| sum(params, meter, 1)),
            entry("faulty", "crashes", |_, _| {
                panic!("on purpose\nwith a second line")
            }),
            entry("faulty", "dies", |_, _| {
                let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
                Ok(())
            }),
            entry("faulty", "hangs", |_, _| hang()),
            entry("faulty", "lies", |_, meter| {
                meter.repeat(0, |_| {
                    Err(Failure::WrongAnswer("sum 41, expected 42".into()))
                })
            }),
            entry("faulty", "missing", |_, _| {
                Err(Failure::NotInstalled(
                    "its toolchain; apt install missing".into(),
                ))
            }),
            entry("prints", "plain", |params, meter| {
                println!("{{\"type\":\"failure\"}}");
                sum(params, meter, 1)
            }),
        ],
        policies: Vec::new(),
    }
}

fn sum(params: &Params, meter: &mut Meter, times: u64) -> Result<(), Failure> {
    let size = params.value("size");
    meter.repeat(params.budget_ns.min(3_000_000), |_| {
        for _ in 0..times {
            let sum: u64 = (1..=size).map(std::hint::black_box).sum();
            if sum != size * (size + 1) / 2 {
                return Err(Failure::WrongAnswer(format!("sum {sum}")));
            }
        }
        Ok(size)
    })
}

/// Hangs, with a process of its own in the group, and says who they are.
fn hang() -> Result<(), Failure> {
    let grandchild = Command::new("sleep")
        .arg("1000")
        .spawn()
        .map_err(|error| Failure::Crashed(error.to_string()))?;
    if let Some(path) = std::env::var_os("LAB_TEST_PIDS") {
        let text = format!("{} {}", std::process::id(), grandchild.id());
        bench_suite::results::write_whole(Path::new(&path), text.as_bytes())
            .map_err(|error| Failure::Crashed(error.to_string()))?;
    }
    loop {
        std::thread::park();
    }
}

// Running it.

fn lab(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(arguments)
        .current_dir(folder)
        .env(UNDER_TEST, "1")
        .env("LAB_TEST_PIDS", folder.join("pids"))
        .stdin(Stdio::null());
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    lab(folder, arguments).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn last_line(output: &Output) -> String {
    stderr(output).lines().last().unwrap_or_default().to_owned()
}

fn results(folder: &Path) -> Results {
    Results::read(&folder.join("lab-out/results.json")).unwrap()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Waits for a condition of another process; fails the test if it takes absurdly long.
fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Gone, or dead and only waiting to be reaped by whoever inherited it.
fn is_dead(pid: i32) -> bool {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Err(_) => true,
        Ok(stat) => stat
            .rsplit(')')
            .next()
            .is_some_and(|rest| rest.trim_start().starts_with(['Z', 'X'])),
    }
}

fn pids(folder: &Path) -> Vec<i32> {
    let path = folder.join("pids");
    eventually("the hanging child starts", || path.exists());
    let text = fs::read_to_string(path).unwrap();
    text.split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect()
}

// The tests.

fn results_follow_the_published_schema() {
    let folder = folder();
    let output = run(
        folder.path(),
        &[
            "compare",
            "sum",
            "faulty",
            "--runtime",
            "plain,double,crashes,missing",
            "--rounds",
            "2",
            "--seed",
            "5",
            "--json",
            "copy.json",
        ],
    );
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    let schema = include_str!("../schema/lab.results-1.schema.json");
    let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
    for file in ["lab-out/results.json", "copy.json"] {
        let text = fs::read_to_string(folder.path().join(file)).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let errors = schema::errors(&schema, &value);
        assert!(errors.is_empty(), "{file}: {errors:#?}");
        assert_eq!(value["environments"][0]["seed"], 5);
        // The schema has teeth: the same file without a required field, or with a made-up status, is refused.
        for (pointer, damage) in [
            ("/runs/0/status", "fine"),
            ("/runs/0/wall_ns", "soon"),
            ("/schema", "lab.results/2"),
        ] {
            let mut damaged = value.clone();
            *damaged.pointer_mut(pointer).unwrap() = damage.into();
            assert!(!schema::errors(&schema, &damaged).is_empty(), "{pointer}");
        }
    }
    assert_eq!(
        names(&folder.path().join("lab-out")),
        ["report.html", "results.json"]
    );
}

fn a_verdict_takes_ten_processes() {
    let folder = folder();
    let arguments = ["compare", "sum", "--runtime", "plain,double", "--rounds"];
    let output = run(folder.path(), &[&arguments[..], &["12"]].concat());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let results = results(folder.path());
    let double = results
        .comparisons
        .iter()
        .find(|one| one.runtime == "double" && one.metric == "wall_ns_per_op")
        .unwrap();
    assert_eq!((double.baseline.as_str(), double.processes), ("plain", 12));
    // Twice the work in each process: nothing but an absurd noise floor could hide it.
    assert!(double.ratio.unwrap() > 1.2, "{double:?}");
    assert_ne!(double.verdict, Some(Verdict::NotEnoughData));
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("Student's t"), "{printed}");
    assert!(
        printed.trim_end().ends_with("report: lab-out/report.html"),
        "{printed}"
    );

    let output = run(folder.path(), &[&arguments[..], &["3"]].concat());
    assert!(String::from_utf8_lossy(&output.stdout).contains("not enough data"));
    let results = self::results(folder.path());
    assert!(
        results
            .comparisons
            .iter()
            .all(|one| !matches!(one.verdict, Some(Verdict::Better | Verdict::Worse)))
    );
}

fn the_baseline_is_measured_twice() {
    let folder = folder();
    let output = run(
        folder.path(),
        &["compare", "sum", "--runtime", "plain", "--rounds", "3"],
    );
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let results = results(folder.path());
    for round in 0..3 {
        for role in [Role::Arm, Role::Repeat] {
            let runs = results
                .runs
                .iter()
                .filter(|run| run.round == round && run.role == role);
            assert_eq!(runs.count(), 1, "round {round}, {role:?}");
        }
    }
    let repeat = &results.comparisons[0];
    assert_eq!((repeat.role, repeat.verdict), (Role::Repeat, None));
    assert_eq!(
        repeat.noise_floor,
        repeat.ratio.map(|ratio| (ratio - 1.0).abs())
    );
}

fn parameters_make_a_matrix() {
    let folder = folder();
    let output = run(
        folder.path(),
        &[
            "compare",
            "sum",
            "--runtime",
            "plain",
            "--param",
            "size=1_000,2000",
            "--rounds",
            "1",
            "--quick",
        ],
    );
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let mut sizes: Vec<u64> = results(folder.path())
        .runs
        .iter()
        .map(|run| run.params["size"])
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1000, 1000, 2000, 2000]);
}

fn a_crash_is_one_line_and_loses_nothing() {
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

fn what_is_not_installed_is_shown() {
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

fn a_workload_that_prints_breaks_nothing() {
    let folder = folder();
    let output = run(
        folder.path(),
        &["compare", "prints", "--runtime", "plain", "--rounds", "1"],
    );
    assert_eq!(code(&output), 0, "{}", stderr(&output));
}

/// Starts a comparison that comes to a hanging child once `plain` has been measured.
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

fn an_interrupted_comparison_keeps_what_it_has() {
    let folder = folder();
    let mut child = lab(
        folder.path(),
        &["compare", "sum", "--runtime", "plain", "--rounds", "1000"],
    )
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    // The second round's line: the first one has been measured whole.
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut last = String::new();
    for line in lines.map_while(Result::ok) {
        if line.contains("round 2 of") {
            interrupt(&child);
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
    // Its own child is not ours to reach when the kernel was faster than the watch on standard input.
    let _ = rustix::process::kill_process(Pid::from_raw(pids[1]).unwrap(), Signal::KILL);
}

fn a_child_answers_by_hand() {
    let folder = folder();
    let mut child = lab(folder.path(), &["child"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let request = r#"{"protocol":"lab.child/1","workload":"sum","runtime":"plain","workers":2,"policy":null,"reactor":null,"budget_ns":1000000,"seed":7,"params":{"size":1000}}"#;
    writeln!(stdin, "{request}").unwrap();
    let lines: Vec<serde_json::Value> = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect();
    drop(stdin);
    assert!(child.wait().unwrap().success());
    assert_eq!(lines[0]["type"], "progress");
    assert_eq!(lines[1]["type"], "result");
    // Short repetitions share a sample, so it holds some number of them.
    let ops = lines[1]["samples"][0]["ops"].as_u64().unwrap();
    assert!(ops > 0 && ops.is_multiple_of(1000), "{ops}");
    assert!(lines[1]["samples"][0]["wall_ns"].as_u64().unwrap() > 0);
    assert_eq!(lines.len(), 2);

    let output = run(folder.path(), &["child"]);
    assert_eq!(code(&output), 2, "no request on standard input");
}

fn wrong_usage_is_found_before_measuring() {
    let folder = folder();
    fs::write(folder.path().join("file"), "x").unwrap();
    let cases: [(&[&str], &str); 12] = [
        (
            &["compare", "smu"],
            "unknown workload `smu`; did you mean `sum`?",
        ),
        (
            &["compare", "sum", "--runtime", "plian"],
            "did you mean `plain`?",
        ),
        (
            &["compare", "sum", "--runtime", "crashes"],
            "none of the chosen runtimes",
        ),
        (
            &["compare", "sum", "--param", "sise=1"],
            "no parameter `sise`; there are: size",
        ),
        (&["compare", "sum", "--param", "size"], "has no value"),
        (
            &["compare", "sum", "--size", "0"],
            "size=0 is out of range for sum; 1 to 1000000",
        ),
        (
            &["compare", "sum", "--size", "99999999999999999999999"],
            "is no whole number",
        ),
        (
            &["compare", "sum", "--workers", "0"],
            "--workers 0 is out of range",
        ),
        (
            &["compare", "sum", "--rounds", "0"],
            "--rounds 0 is out of range",
        ),
        (
            &["compare", "sum", "--policy", "fair"],
            "unknown policy `fair`",
        ),
        (
            &["compare", "sum", "--out", "file/below"],
            "--out file/below: cannot be written to",
        ),
        (
            &["compare", "sum", "--json", "nowhere/x.json"],
            "--json nowhere/x.json",
        ),
    ];
    for (arguments, expected) in cases {
        let output = run(folder.path(), arguments);
        let message = stderr(&output);
        assert_eq!(code(&output), 2, "{arguments:?}: {message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(message.contains(expected), "{arguments:?}: {message}");
        assert!(!folder.path().join("lab-out/results.json").exists());
    }
}

fn the_report_escapes_what_it_is_given() {
    let folder = folder();
    let output = run(
        folder.path(),
        &[
            "compare",
            "sum",
            "--runtime",
            "plain,double",
            "--rounds",
            "1",
        ],
    );
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let mut results = results(folder.path());
    let hostile = "</script><img src=x onerror=alert(1)>\"'";
    for run in &mut results.runs {
        run.workload = hostile.to_owned();
        run.flags = vec![hostile.to_owned()];
        run.config.policy = Some(hostile.to_owned());
        run.error = Some(hostile.to_owned());
    }
    results.runs[0].status = Status::Crashed;
    results.notes.push(hostile.to_owned());
    results.environments[0].cpu = Some(hostile.to_owned());
    results.write(&folder.path().join("hostile.json")).unwrap();
    let output = run(folder.path(), &["report", "hostile.json", "--out", "again"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let page = fs::read_to_string(folder.path().join("again/report.html")).unwrap();
    assert!(page.contains("&lt;img src=x"));
    assert!(!page.contains("<img"), "text from results became a tag");
    assert_eq!(page.matches("</script>").count(), 3);
}
