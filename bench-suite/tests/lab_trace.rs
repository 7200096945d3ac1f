//! The files that `lab trace` and `lab serve --flight` write.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use bench_suite::trace::Trace;
use runtime_core::trace::{Cause, Kind};

fn lab(arguments: &[&str]) -> Command {
    let mut lab = Command::new(env!("CARGO_BIN_EXE_lab"));
    lab.args(arguments);
    lab
}

fn files_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort();
    names
}

#[test]
fn lab_trace_writes_four_forms_of_three_runs() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let ran = lab(&["trace", "pingpong", "--size", "20", "--out", out])
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    assert_eq!(
        files_in(folder.path()),
        [
            "trace.firefox.json",
            "trace.html",
            "trace.json",
            "trace.perfetto-trace"
        ]
    );
    let trace = Trace::read(&folder.path().join("trace.json")).unwrap();
    let runtimes: Vec<_> = trace.runs.iter().map(|run| run.runtime.as_str()).collect();
    assert_eq!(runtimes, ["n1", "mn", "threads"]);
    assert_eq!(trace.params["size"], 20);
    for run in &trace.runs {
        assert_eq!(run.dropped, 0);
        // The root and two players.
        assert_eq!(run.tasks.len(), 3, "{:?}", run.tasks);
        let ends = run
            .events
            .iter()
            .filter(|event| event.kind == Kind::TaskEnd);
        assert_eq!(ends.count(), 2);
    }
}

#[test]
fn lab_trace_of_tokio_names_what_it_cannot_see() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let runtimes = "tokio-mt,mn,tokio-ct";
    let mut command = lab(&[
        "trace",
        "pingpong",
        "--size",
        "100",
        "--out",
        out,
        "--runtime",
        runtimes,
    ]);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert_eq!(
        text.matches("not recorded: queues, steals").count(),
        2,
        "{text}"
    );
    let trace = Trace::read(&folder.path().join("trace.json")).unwrap();
    let [multi, ours, current] = &trace.runs[..] else {
        panic!("{} runs", trace.runs.len());
    };
    assert!(ours.missing.is_empty());
    for run in [multi, current] {
        assert!(run.missing.iter().any(|what| what == "steals"));
        let of = |kind| run.events.iter().filter(move |it| it.kind == kind);
        // The two players wake each other 100 times each.
        assert!(of(Kind::Spawn).count() >= 2);
        assert!(of(Kind::PollBegin).count() >= 100);
        let by_task = |it: &bench_suite::trace::Event| it.a >= 0 && it.b == Cause::Task as i64;
        assert!(of(Kind::Wake).filter(by_task).count() >= 100);
        assert_eq!(of(Kind::Queued).count(), 0);
        // No task is polled twice at once, and every spawned task ends.
        let mut polled = vec![false; run.tasks.len()];
        for event in run.events.iter().filter(|it| it.task >= 0) {
            let is_polled = &mut polled[event.task as usize];
            match event.kind {
                Kind::PollBegin => assert!(!std::mem::replace(is_polled, true)),
                Kind::PollEnd => *is_polled = false,
                _ => {}
            }
        }
        assert!(of(Kind::TaskEnd).count() >= 2);
        assert!(
            run.tasks.iter().any(|task| task.name.starts_with("rally:")),
            "{:?}",
            run.tasks
        );
    }
}

#[test]
fn lab_trace_reports_dropped_events() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let few = ["--records", "16", "--runtime", "n1", "--out", out];
    let ran = lab(&["trace", "spawn", "--size", "100"])
        .args(few)
        .output()
        .unwrap();
    assert!(ran.status.success());
    let said = String::from_utf8(ran.stdout).unwrap();
    assert!(said.contains("events were dropped"), "{said}");
    let trace = Trace::read(&folder.path().join("trace.json")).unwrap();
    assert!(trace.runs[0].dropped > 100);
}

#[test]
fn lab_trace_refuses_unknown_names_in_one_line() {
    for arguments in [
        &["pingpng"][..],
        &["pingpong", "--runtime", "smol"],
        &["pingpong", "--param", "sizzle=3"],
        &["pingpong", "--size", "many"],
        &["pingpong", "--workers", "0"],
    ] {
        let ran = lab(&["trace"]).args(arguments).output().unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.code(), Some(2), "{arguments:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn a_server_in_flight_writes_a_trace_on_sigusr1() {
    use rustix::process::{Pid, Signal, kill_process};

    let folder = tempfile::tempdir().unwrap();
    let flights = folder.path().join("flights");
    let mut server = lab(&[
        "serve",
        "echo",
        "--runtime",
        "mn",
        "--addr",
        "127.0.0.1:0",
        "--flight",
    ])
    .arg(&flights)
    .stdout(Stdio::piped())
    .spawn()
    .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line.trim().strip_prefix("listening ").unwrap();
    drop(std::net::TcpStream::connect(address).unwrap());
    let pid = Pid::from_raw(server.id() as i32).unwrap();
    kill_process(pid, Signal::USR1).unwrap();
    let begun = Instant::now();
    while files_in(&flights).len() < 3 && begun.elapsed() < Duration::from_secs(60) {
        thread::sleep(Duration::from_millis(10));
    }
    kill_process(pid, Signal::TERM).unwrap();
    assert!(server.wait().unwrap().success());
    let names = files_in(&flights);
    let name = names
        .iter()
        .find(|name| name.ends_with("-asked.json"))
        .unwrap();
    let trace = Trace::read(&flights.join(name)).unwrap();
    assert_eq!(trace.runs[0].runtime, "mn");
    assert!(!trace.runs[0].events.is_empty());
}
