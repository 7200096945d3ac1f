//! `lab span`, `lab diverge` and `lab ps` as users run them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

fn lab(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
    command.args(arguments).output().unwrap()
}

/// The standard output of a command that succeeds.
fn said(arguments: &[&str]) -> String {
    let output = lab(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// The one line on standard error after wrong usage.
fn refused(arguments: &[&str]) -> String {
    let output = lab(arguments);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    errors
}

fn span(arguments: &[&str]) -> Value {
    let whole = [&["span"], arguments, &["--json", "-"]].concat();
    serde_json::from_str(&said(&whole)).unwrap()
}

/// The recorded part lies inside the root task. The root's start counts and its end does not. The rest is the shape of
/// the program, in starts and ends of tasks.
#[test]
fn the_span_of_a_real_run_is_the_shape_of_the_program() {
    for (workload, size, expected) in [
        ("fib-spawn", 9, 1 + 2 * 9),
        ("skynet-spawn", 2, 1 + 2 * 3),
        ("nqueens", 5, 1 + 2),
    ] {
        for runtime in ["n1", "mn", "threads"] {
            let size = size.to_string();
            let found = span(&[workload, "--runtime", runtime, "--size", &size]);
            assert_eq!(
                found["span_in_task_ends"], expected,
                "{workload}, {runtime}"
            );
            let number = |name: &str| found[name].as_u64().unwrap();
            assert!(number("span_ns") <= number("work_ns"), "{found}");
            assert!(number("span_ns") > 0 && number("burdened_span_ns") >= number("span_ns"));
            let parts = found["time"].as_array().unwrap();
            let sum: u64 = parts.iter().map(|it| it["ns"].as_u64().unwrap()).sum();
            assert_eq!(sum, number("thread_ns"));
        }
    }
}

#[test]
fn timers_are_waits_on_the_critical_path() {
    let found = span(&["timers", "--runtime", "n1", "--size", "100"]);
    let places = found["critical_path"].as_array().unwrap();
    let names: Vec<_> = places
        .iter()
        .map(|it| it["place"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"(waiting for a timer)"), "{names:?}");
}

#[test]
fn the_text_has_the_figures_the_split_and_the_path() {
    let text = said(&[
        "span",
        "fib-spawn",
        "--runtime",
        "mn",
        "--size",
        "8",
        "--workers",
        "2",
    ]);
    for part in [
        "fib-spawn under mn: ",
        "burdened parallelism",
        "speed-up of 2 workers",
        "asleep with work queued",
        "The critical path, by the place of the spawn",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_stored_trace_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    said(&["trace", "fib-spawn", "--size", "6", "--out", out]);
    let path = folder.path().join("trace.json");
    let path = path.to_str().unwrap();
    let found = span(&[path, "--runtime", "threads"]);
    assert_eq!(
        (&found["runtime"], &found["span_in_task_ends"]),
        (&"threads".into(), &13.into())
    );
    let text = said(&["diverge", path, "--runtime", "n1,mn"]);
    assert!(!text.is_empty());
    assert!(refused(&["span", path, "--runtime", "go"]).contains("it has n1, mn, threads"));
    let whole = std::fs::read_to_string(path).unwrap();
    std::fs::write(path, &whole[..whole.len() / 2]).unwrap();
    assert!(refused(&["span", path]).contains("is truncated"));
}

#[test]
fn wrong_usage_is_one_line_and_code_2() {
    assert!(refused(&["span", "fib-spwan"]).contains("did you mean `fib-spawn`?"));
    assert!(refused(&["span", "nowhere.json"]).contains("cannot be read"));
    assert!(refused(&["span", "yield", "--runtime", "go"]).contains("can't be traced"));
    assert!(refused(&["span", "yield", "--size", "x"]).contains("size=x"));
    assert!(refused(&["span", "yield", "--workers", "0"]).contains("at least one worker"));
    assert!(refused(&["span", "yield", "--json", "/nowhere/x"]).contains("--json /nowhere/x"));
    assert!(refused(&["diverge"]).contains("--help"));
    assert!(refused(&["diverge", "yield", "--runtime", "n1"]).contains("the options name 1"));
    assert!(refused(&["diverge", "yield", "--knob", "steal"]).contains("NAME=V1,V2"));
    assert!(refused(&["diverge", "yield", "nowhere.json"]).contains("no trace file"));
    assert!(refused(&["ps", "--addr", "x"]).contains("--addr"));
    assert!(!Path::new("/nowhere").exists());
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The server, its address, and the address of its list of tasks.
fn serve(runtime: &str) -> (Server, SocketAddr, SocketAddr) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
    command.args([
        "serve",
        "echo",
        "--runtime",
        runtime,
        "--addr",
        "127.0.0.1:0",
    ]);
    command
        .args(["--tasks", "127.0.0.1:0"])
        .stdout(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut address = |name: &str| {
        let line = lines.next().unwrap().unwrap();
        let address = line.strip_prefix(name).unwrap_or_else(|| panic!("{line}"));
        address.trim().parse().unwrap()
    };
    let addresses = (address("listening "), address("tasks "));
    (Server(process), addresses.0, addresses.1)
}

#[test]
fn ps_shows_the_waits_of_a_servers_tasks() {
    for runtime in ["n1", "mn", "threads"] {
        let (_server, address, tasks) = serve(runtime);
        let tasks = tasks.to_string();
        let streams: Vec<_> = (0..3)
            .map(|_| {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(b"x").unwrap();
                stream.read_exact(&mut [0]).unwrap();
                stream
            })
            .collect();
        // The client may have the answer before the server's task waits again.
        let list = (0..1000)
            .map(|_| said(&["ps", "--addr", &tasks, "--json"]))
            .map(|text| serde_json::from_str::<Value>(&text).unwrap())
            .find(|list| waits_for_a_socket(list) > streams.len())
            .expect("the connections' tasks and the listener's wait for sockets");
        assert_eq!(list["schema"], "lab.tasks/1");
        assert_eq!(list["deadlocks"], Value::Array(Vec::new()));
        let text = said(&["ps", "--addr", &tasks]);
        assert!(text.contains("waits for socket "), "{text}");
        // The root awaits the job that waits for a signal.
        assert!(text.contains("waits for task "), "{text}");
        assert!(refused(&["ps", "--addr", &address.to_string()]).contains("--tasks"));
    }
}

fn waits_for_a_socket(list: &Value) -> usize {
    let tasks = list["tasks"].as_array().unwrap().iter();
    let waits = tasks.flat_map(|task| task["waits"].as_array().unwrap());
    waits.filter(|wait| wait["kind"] == "socket").count()
}

#[test]
fn a_runtime_without_a_list_says_so() {
    let (_server, _, tasks) = serve("tokio-ct");
    let why = refused(&["ps", "--addr", &tasks.to_string()]);
    assert!(why.contains("lists no tasks"), "{why}");
}
