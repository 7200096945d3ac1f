//! The tests of the examples: `cargo test -p docs --example asyncio_tour`.
//!
//! The program starts itself, once per example and runtime, and checks every line that it prints. A time may be any
//! figure that is not too small, so a test never depends on the speed of an example.

use std::process::{Command, ExitCode, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};

use super::{EXAMPLES, RUNTIMES, five_urls};

/// Set in the environment of the program under test.
const UNDER_TEST: &str = "ASYNCIO_TOUR_UNDER_TEST";

/// An example that takes longer hangs. Normally an example takes a second or two.
const LONG: Duration = Duration::from_secs(60);

pub fn is_under_test() -> bool {
    std::env::var_os(UNDER_TEST).is_some()
}

pub fn main() -> ExitCode {
    let mut trials: Vec<_> = five_urls::deferred::TESTS
        .iter()
        .map(|&(name, test)| trial(&format!("deferred::{name}"), test))
        .collect();
    for (example, ..) in EXAMPLES {
        for runtime in RUNTIMES {
            let test = || prints_the_expected_output(example, runtime);
            trials.push(trial(&format!("{example}::{runtime}"), test));
        }
    }
    trials.push(trial("all_runtimes_in_turn", all_runtimes_in_turn));
    trials.push(trial("a_failure_is_reported", a_failure_is_reported));
    trials.push(trial("the_folder_is_made", the_folder_is_made));
    trials.push(trial(
        "no_words_list_the_examples",
        no_words_list_the_examples,
    ));
    trials.push(trial("wrong_words_are_refused", wrong_words_are_refused));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trial(name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}

/// What determines the order of an example's lines.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    /// The program: the order is always the same.
    Program,
    /// A clock, with times that are far apart. On a very busy machine two lines may change places, but not three times
    /// in a row.
    Clock,
    /// Chance.
    Chance,
}

fn prints_the_expected_output(example: &str, runtime: &str) {
    let (order, expected) = expected(example);
    let attempts = if order == Order::Clock { 3 } else { 1 };
    let said = (0..attempts).find_map(|attempt| {
        let mut said = lines(&run(&[example, "--runtime", runtime]));
        if order == Order::Chance {
            said.sort();
        }
        let as_expected = said.len() == expected.len()
            && said
                .iter()
                .zip(expected)
                .all(|(line, pattern)| is_like(line, &pattern.replace("RUNTIME", runtime)));
        assert!(
            as_expected || attempt + 1 < attempts,
            "{example} under {runtime} says {said:#?} and not {expected:#?}"
        );
        as_expected.then_some(said)
    });
    assert!(said.is_some());
}

fn all_runtimes_in_turn() {
    let said = lines(&run(&["condition"]));
    let (_, once) = expected("condition");
    let mut expected = Vec::new();
    for runtime in RUNTIMES {
        expected.push(format!("--- {runtime}"));
        expected.extend(once.iter().map(|&line| line.to_owned()));
    }
    assert_eq!(said, expected);
}

fn a_failure_is_reported() {
    let output = run(&["download", "no such list", ".", "--runtime", "n1"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        told.starts_with("asyncio_tour: download under n1: No such file"),
        "{told}"
    );
    assert_eq!(output.status.code(), Some(1));
}

fn the_folder_is_made() {
    let temporary = tempfile::tempdir().expect("a folder");
    let list = temporary.path().join("list.txt");
    std::fs::write(&list, "").expect("a list");
    let folder = temporary.path().join("new").join("images");
    let [list, into] = [&list, &folder].map(|path| path.to_str().expect("text"));
    let said = lines(&run(&["download", list, into, "--runtime", "n1"]));
    assert_eq!(said, ["0 saved, 0 were there"]);
    assert!(folder.is_dir());
}

fn no_words_list_the_examples() {
    let output = run(&[]);
    assert_eq!(output.status.code(), Some(0));
    let said = lines(&output);
    assert_eq!(said.len(), 1 + EXAMPLES.len(), "{said:#?}");
}

fn wrong_words_are_refused() {
    for words in [
        &["weight"][..],
        &["wait", "--runtime"],
        &["wait", "--runtime", "go"],
        &["wait", "more"],
    ] {
        let output = run(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(output.stderr.starts_with(b"usage: "), "{words:?}");
    }
}

/// Starts this program and waits for its end.
fn run(words: &[&str]) -> Output {
    let program = std::env::current_exe().expect("the path of this program");
    let mut child = Command::new(program)
        .args(words)
        .env(UNDER_TEST, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this program starts");
    let begun = Instant::now();
    // Its output fits into a pipe.
    while child.try_wait().expect("a child").is_none() {
        if begun.elapsed() > LONG {
            let _ = child.kill();
            let output = child.wait_with_output().expect("its output");
            panic!("{words:?} hangs, having said {:#?}", lines(&output));
        }
        thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().expect("its output")
}

fn lines(output: &Output) -> Vec<String> {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(errors, "");
    let said = String::from_utf8_lossy(&output.stdout);
    said.lines().map(str::to_owned).collect()
}

/// In a pattern, `{100}` stands for a number that is not less than 100.
fn is_like(mut line: &str, pattern: &str) -> bool {
    let mut parts = pattern.split(['{', '}']);
    let mut literal = parts.next();
    while let Some(text) = literal {
        let Some(rest) = line.strip_prefix(text) else {
            return false;
        };
        line = rest;
        let (least, next) = (parts.next(), parts.next());
        if let Some(least) = least {
            let end = line
                .find(|letter| !"0123456789.".contains(letter))
                .unwrap_or(line.len());
            let least: f64 = least.parse().expect("a number in the pattern");
            if line[..end].parse().is_ok_and(|number: f64| number >= least) {
                line = &line[end..];
            } else {
                return false;
            }
        }
        literal = next;
    }
    line.is_empty()
}

/// The lines of an example, sorted if their order is random. `RUNTIME` stands for the runtime's name.
fn expected(example: &str) -> (Order, &'static [&'static str]) {
    match example {
        // The same in every style.
        "callbacks" | "state-machine" | "async-await" => (
            Order::Program,
            &[
                "page 0 cost {100} ms",
                "page 1 cost {20} ms",
                "page 2 cost {60} ms",
                "page 3 cost {40} ms",
                "page 4 cost {80} ms",
                "total {100} ms, 5 at once",
            ],
        ),
        "as-completed" => (
            Order::Clock,
            &[
                "URL 1 after {100} ms: here I am, after 100 ms",
                "URL 3 after {200} ms: here I am, after 200 ms",
                "URL 0 after {300} ms: here I am, after 300 ms",
                "URL 2 after {400} ms: here I am, after 400 ms",
            ],
        ),
        "wait" => (
            Order::Clock,
            &[
                "FIRST_COMPLETED",
                "  job 0 is done",
                "  job 1 is pending",
                "  job 2 is pending",
                "FIRST_EXCEPTION",
                "  job 0 is done",
                "  job 1 is done: a failure",
                "  job 2 is pending",
                "ALL_COMPLETED",
                "  job 0 is done",
                "  job 1 is done: a failure",
                "  job 2 is done",
                "with a time-out",
                "  job 0 is done",
                "  job 1 is pending",
                "  job 2 is pending",
            ],
        ),
        "call-later" => (
            Order::Clock,
            &[
                "call_soon after {0} ms",
                "call_at(begun + 0.2) after {200} ms",
                "call_later(0.4) after {400} ms",
            ],
        ),
        "semaphore" => (Order::Program, &["200 pages, 1400 bytes, 50 at once"]),
        "queue" => (
            Order::Program,
            &[
                "the sum of 10000 lines is 50005000",
                "at most {1} lines in memory",
            ],
        ),
        "condition" => (
            Order::Program,
            &[
                "worker 0 waits",
                "worker 1 waits",
                "worker 2 waits",
                "worker 3 waits",
                "worker 4 waits",
                "notify 0",
                "notify 1",
                "worker 0 is released",
                "notify 2",
                "worker 1 is released",
                "worker 2 is released",
                "notify all",
                "worker 3 is released",
                "worker 4 is released",
            ],
        ),
        "executor" => (
            Order::Program,
            &[
                "five queries, one at a time, on database-0 database-0 database-0 database-0 database-0",
                "by default on RUNTIME-blocking-0",
                "by another default on few-0",
            ],
        ),
        "schedule" => (
            Order::Program,
            &[
                "a heartbeat, again and again",
                "a backup, again and again, never two at once",
            ],
        ),
        "load" => (
            Order::Program,
            &["500 requests in {0} s: {1} a second", "     500 200 OK"],
        ),
        "download" => (
            Order::Chance,
            &[
                "28 saved, 3 were there",
                "http://127.0.0.1:{1}/image/: no name to save it by",
                "http://127.0.0.1:{1}/missing: 404 Not Found",
                "http://127.0.0.1:{1}/never: no answer in time",
                "image 31: invalid uri character",
            ],
        ),
        other => panic!("nobody has said what {other} should say"),
    }
}
