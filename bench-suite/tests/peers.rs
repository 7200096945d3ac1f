//! Peers in other languages, simulated by shell scripts. A working peer is measured, and each fault gives one failed
//! run that names the peer.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Speaks the protocol for `spawn`, and behaves as its argument says.
const FAKE: &str = r#"
how=$1
read -r request
size=${request##*\"size\":}
size=${size%%[!0-9]*}
case $how in
    silent) exit 0 ;;
    crash) echo 'a line before' >&2; echo 'the scheduler is on fire' >&2; exit 3 ;;
    signal) kill -SEGV $$ ;;
    rubbish) echo 'hello, I am a peer'; exec sleep 60 ;;
    flood) exec yes ;;
    nan) echo '{"type":"result","samples":[{"ops":1,"wall_ns":NaN,"cpu_ns":1}]}'; exit 0 ;;
    negative) echo '{"type":"result","samples":[{"ops":1,"wall_ns":-5,"cpu_ns":1}]}'; exit 0 ;;
    nothing) echo '{"type":"result","samples":[]}'; exit 0 ;;
    refuses) echo '{"type":"failure","status":"refused","error":"too many for me"}'; exit 0 ;;
    own) echo '{"type":"result","samples":[{"ops":10,"wall_ns":1000,"cpu_ns":900}]}'; exit 0 ;;
    hang) setsid sleep 98761 & echo '{"type":"ready"}'; exec sleep 60 ;;
esac
echo '{"type":"progress","phase":"starting"}'
echo '{"type":"ready","workers":1}'
while read -r order; do
    case $order in *'"stop"'*) break ;; esac
    repetitions=${order##*\"repetitions\":}
    repetitions=${repetitions%%[!0-9]*}
    answer=$((size * (size - 1) / 2 * repetitions))
    wall=1000
    case $how in
        wrong) answer=$((answer + 1)) ;;
        boasts) wall=999999999999999 ;;
        dies) exit 5 ;;
    esac
    echo "{\"type\":\"done\",\"ops\":$((size * repetitions)),\"wall_ns\":$wall,\"answer\":$answer}"
done
case $how in
    ends-badly) echo 'leaving in anger' >&2; exit 4 ;;
    stays) sleep 60 ;;
    child) sleep 98762 & ;;
    daemon) setsid sleep 98763 & ;;
esac
exit 0
"#;

/// How each of them must end: the status and a part of the message.
const CASES: &[(&str, &str, &str)] = &[
    ("works", "ok", ""),
    ("own", "ok", ""),
    ("silent", "crashed", "exited without an answer"),
    (
        "crash",
        "crashed",
        "exited with code 3: the scheduler is on fire",
    ),
    ("signal", "crashed", "killed by signal 11"),
    (
        "rubbish",
        "crashed",
        "said `hello, I am a peer`, which is not a valid answer",
    ),
    ("flood", "crashed", "said `y`, which is not a valid answer"),
    ("nan", "crashed", "NaN"),
    ("negative", "crashed", "which is not a valid answer"),
    ("nothing", "wrong_answer", "no operation was measured"),
    ("refuses", "refused", "too many for me"),
    ("wrong", "wrong_answer", "the answer is 46 but should be 45"),
    (
        "boasts",
        "wrong_answer",
        "it says that its work took 999999999999999 ns",
    ),
    ("dies", "crashed", "exited with code 5"),
    (
        "ends-badly",
        "crashed",
        "exited with code 4 after its figures: leaving in anger",
    ),
    ("stays", "crashed", "does not end after its figures; killed"),
    (
        "child",
        "crashed",
        "left processes behind, which were killed: sleep",
    ),
    (
        "daemon",
        "crashed",
        "left processes behind, which were killed: sleep",
    ),
    ("absent", "not_installed", "to get it: buy one"),
];

fn manifest(name: &str, more: &str) -> String {
    format!(
        r#"{{"name": "{name}", "language": "Shell", "about": "a fake", "install": "buy one",
        "workloads": ["spawn"], {more}}}"#
    )
}

fn fake(folder: &Path, name: &str) {
    let command = match name {
        "absent" => r#""command": ["no-such-program-98764"]"#.to_owned(),
        "works" => r#""command": ["sh", "{dir}/fake.sh", "works"],
            "version": ["sh", "-c", "echo fake 7.1"]"#
            .to_owned(),
        _ => format!(r#""command": ["sh", "{{dir}}/fake.sh", "{name}"]"#),
    };
    fs::write(folder.join("fake.sh"), FAKE).unwrap();
    fs::write(
        folder.join(format!("{name}.peer.json")),
        manifest(name, &command),
    )
    .unwrap();
}

fn lab(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(arguments)
        .current_dir(folder)
        .env("LAB_PEERS", folder)
        .env("LAB_PEERS_CACHE", folder.join("cache"))
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Measures `spawn` once under each runtime, and returns the runs by runtime.
fn compare(folder: &Path, runtimes: &str, more: &[&str]) -> (Output, BTreeMap<String, Value>) {
    let mut arguments = vec![
        "compare",
        "spawn",
        "--size",
        "10",
        "--quick",
        "--rounds",
        "1",
        "--no-progress",
        "--json",
        "r.json",
        "--out",
        "out",
        "--runtime",
        runtimes,
    ];
    arguments.extend(more);
    let output = lab(folder, &arguments);
    let results = fs::read(folder.join("r.json"))
        .unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr)));
    let results: Value = serde_json::from_slice(&results).unwrap();
    let runs = results["runs"].as_array().unwrap();
    let mut by_runtime = BTreeMap::new();
    for run in runs {
        // The baseline's A/A arm comes after the baseline.
        by_runtime
            .entry(run["runtime"].as_str().unwrap().to_owned())
            .or_insert_with(|| run.clone());
    }
    (output, by_runtime)
}

fn runs_somewhere(command: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|process| fs::read(process.path().join("cmdline")).ok())
        .any(|line| text(&line).replace('\0', " ").trim() == command)
}

#[test]
fn each_failure_is_named_and_the_rest_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    for (name, ..) in CASES {
        fake(folder.path(), name);
    }
    // In parts that each fit easily into the time of a quick run.
    for half in CASES.chunks(CASES.len().div_ceil(4)) {
        let names: Vec<&str> = half.iter().map(|(name, ..)| *name).collect();
        let (output, runs) = compare(folder.path(), &format!("n1,{}", names.join(",")), &[]);
        assert_eq!(runs["n1"]["status"], "ok");
        for (name, status, part) in half {
            let run = &runs[*name];
            assert_eq!(run["status"], *status, "{name}: {run}");
            let error = run["error"].as_str().unwrap_or_default();
            assert!(error.contains(part), "{name}: {error}");
            assert!(!error.contains('\n'), "{name}: {error}");
            if *status != "ok" && *status != "not_installed" && *name != "nothing" {
                assert!(error.starts_with(&format!("{name}: ")), "{name}: {error}");
            }
        }
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        let stdout = text(&output.stdout);
        for name in names {
            assert!(stdout.contains(name), "{name} is in the table:\n{stdout}");
        }
    }
    for sleep in ["sleep 98762", "sleep 98763"] {
        assert!(!runs_somewhere(sleep), "{sleep} is still there");
    }
}

#[test]
fn a_peer_that_hangs_is_killed_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    fake(folder.path(), "hang");
    let (output, runs) = compare(folder.path(), "n1,hang", &[]);
    assert_eq!(runs["hang"]["status"], "timed_out");
    assert_eq!(runs["n1"]["status"], "ok");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("spawn under hang: timed out"));
    assert!(!runs_somewhere("sleep 98761"), "its child is still there");
}

#[test]
fn a_peer_is_measured_by_the_lab() {
    let folder = tempfile::tempdir().unwrap();
    fake(folder.path(), "works");
    fake(folder.path(), "own");
    let (output, runs) = compare(folder.path(), "works,own,n1", &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let run = &runs["works"];
    let positive = |field: &str| assert!(run[field].as_u64().unwrap() > 0, "{field}: {run}");
    for field in ["ops", "wall_ns", "cpu_ns", "peak_rss_bytes"] {
        positive(field);
    }
    assert_eq!(run["ops"].as_u64().unwrap() % 10, 0);
    assert_eq!(run["config"]["workers"], 1);
    assert_eq!(
        runs["own"]["flags"],
        serde_json::json!(["measured_by_peer"])
    );
    let results: Value =
        serde_json::from_slice(&fs::read(folder.path().join("r.json")).unwrap()).unwrap();
    assert_eq!(results["environments"][0]["versions"]["works"], "7.1");
    let ratios = results["comparisons"].as_array().unwrap();
    let of_n1 = ratios
        .iter()
        .find(|ratio| ratio["runtime"] == "n1")
        .unwrap();
    assert_eq!(of_n1["baseline"], "works");
}

#[test]
fn a_size_that_is_too_large_is_cut_and_the_row_says_so() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("fake.sh"), FAKE).unwrap();
    let more = r#""command": ["sh", "{dir}/fake.sh", "x"], "limits": {"spawn": {"size": 7}}"#;
    fs::write(folder.path().join("peer.json"), manifest("small", more)).unwrap();
    let (output, runs) = compare(folder.path(), "n1,small", &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(
        runs["small"]["flags"],
        serde_json::json!(["small ran size=7"])
    );
    assert_eq!(runs["small"]["samples"][0]["ops"].as_u64().unwrap() % 7, 0);
    assert!(text(&output.stdout).contains("small ran size=7"));
}

#[test]
fn any_server_that_says_where_it_listens_is_a_peer() {
    let folder = tempfile::tempdir().unwrap();
    let server = |name: &str, serve: &str| {
        let text = format!(
            r#"{{"name": "{name}", "language": "Rust", "about": "a server", "install": "build it",
            "workloads": ["echo", "http"], "serve": {serve}}}"#
        );
        fs::write(folder.path().join(format!("{name}.peer.json")), text).unwrap();
    };
    let program = env!("CARGO_BIN_EXE_lab");
    server(
        "served",
        &format!(
            r#"["{program}", "serve", "{{workload}}", "--runtime", "n1", "--addr", "127.0.0.1:0"]"#
        ),
    );
    server(
        "nowhere",
        r#"["sh", "-c", "echo listening 127.0.0.1:1; exec sleep 60"]"#,
    );
    server(
        "riddle",
        r#"["sh", "-c", "echo listening where I please; exec sleep 60"]"#,
    );
    let output = lab(
        folder.path(),
        &[
            "compare",
            "echo",
            "http",
            "--runtime",
            "served,nowhere,riddle",
            "--quick",
            "--rounds",
            "1",
            "--no-progress",
            "--json",
            "r.json",
            "--out",
            "out",
            "--param",
            "connections=4",
        ],
    );
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let results: Value =
        serde_json::from_slice(&fs::read(folder.path().join("r.json")).unwrap()).unwrap();
    for run in results["runs"].as_array().unwrap() {
        match run["runtime"].as_str().unwrap() {
            "served" => {
                assert_eq!(run["status"], "ok", "{run}");
                assert!(
                    run["cpu_ns"].as_u64().unwrap() > 0
                        && run["client_cpu_ns"].as_u64().unwrap() > 0
                );
                assert!(run["latency_ns"]["p99"].as_u64().unwrap() > 0);
            }
            name => {
                assert_eq!(run["status"], "crashed", "{run}");
                assert!(run["error"].as_str().unwrap().starts_with(name), "{run}");
            }
        }
    }
}

#[test]
fn peers_are_listed_with_their_problems() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["works", "crash", "absent"] {
        fake(folder.path(), name);
    }
    let output = lab(folder.path(), &["peers", "works", "absent"]);
    assert_eq!(output.status.code(), Some(0));
    let stdout = text(&output.stdout);
    assert!(
        stdout.contains("installed, 7.1") && stdout.contains("to get it: buy one"),
        "{stdout}"
    );

    let output = lab(folder.path(), &["list"]);
    assert!(text(&output.stdout).contains("a fake [installed, 7.1]"));
    let list: Value =
        serde_json::from_slice(&lab(folder.path(), &["list", "--json"]).stdout).unwrap();
    let runtimes = list["runtimes"].as_array().unwrap();
    let installed = |name: &str| {
        runtimes
            .iter()
            .find(|runtime| runtime["name"] == name)
            .unwrap()["installed"]
            .clone()
    };
    assert_eq!(
        (installed("works"), installed("absent"), installed("mn")),
        (true.into(), false.into(), true.into())
    );

    let output = lab(folder.path(), &["peers", "--check", "works", "absent"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let output = lab(
        folder.path(),
        &["peers", "--check", "--json", "works", "crash"],
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("spawn under crash: crashed"),
        "{}",
        text(&output.stderr)
    );
    let peers: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(peers["peers"].as_array().unwrap().len(), 2);

    let output = lab(folder.path(), &["peers", "wroks"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("did you mean `works`"));

    fs::write(folder.path().join("bad.peer.json"), "{\"name\": 1}").unwrap();
    fs::write(
        folder.path().join("mn.peer.json"),
        manifest("mn", "\"command\": [\"x\"]"),
    )
    .unwrap();
    let output = lab(folder.path(), &["peers"]);
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("bad.peer.json is left out") && stderr.contains("`mn` is left out"),
        "{stderr}"
    );
}

#[test]
fn every_peer_of_the_lab_is_listed_whether_it_is_there_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(["peers", "--json"])
        .env("LAB_PEERS_CACHE", folder.path())
        .output()
        .unwrap();
    let peers: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<&str> = peers["peers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|peer| peer["name"].as_str().unwrap())
        .collect();
    for name in [
        "go", "asyncio", "uvloop", "trio", "gevent", "java", "node", "erlang",
    ] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    assert_eq!(peers["problems"], serde_json::json!([]));
}
