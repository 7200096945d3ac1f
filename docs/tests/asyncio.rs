//! The table of the page "From asyncio to here": no call is missing, and each row names an existing test.

use std::fs;
use std::path::{Path, PathBuf};

/// The required contents of the first column: asyncio's surface, call by call.
const CALLS: &[&str] = &[
    "coroutine",
    "create_task",
    "ensure_future",
    "eager_task_factory",
    "Task",
    "Future",
    "create_future",
    "set_result",
    "set_exception",
    "set_name",
    "get_name",
    "done()",
    "result()",
    "exception()",
    "exception was never retrieved",
    "cancel()",
    "cancelled()",
    "add_done_callback",
    "current_task",
    "all_tasks",
    "contextvars",
    "copy_context",
    "sleep(seconds)",
    "sleep(0)",
    "gather",
    "return_exceptions",
    "ALL_COMPLETED",
    "FIRST_COMPLETED",
    "FIRST_EXCEPTION",
    "timeout=",
    "as_completed",
    "wait_for",
    "timeout(",
    "timeout_at",
    "shield",
    "TaskGroup",
    "ExceptionGroup",
    "asyncio.run",
    "Runner",
    "run_until_complete",
    "run_forever",
    "stop()",
    "run_coroutine_threadsafe",
    "call_soon",
    "call_soon_threadsafe",
    "call_later",
    "call_at",
    "TimerHandle.cancel",
    "loop.time",
    "apscheduler",
    "Lock()",
    "locked()",
    "Semaphore(",
    "Semaphore.locked()",
    "release()",
    "BoundedSemaphore",
    "Event()",
    "Event.wait",
    "Condition()",
    "Condition.wait()",
    "Condition.wait_for",
    "notify(n)",
    "notify_all",
    "Barrier",
    "Queue(maxsize",
    "put(item)",
    "get()",
    "put_nowait",
    "get_nowait",
    "qsize",
    "empty",
    "full",
    "maxsize",
    "join()",
    "task_done",
    "shutdown()",
    "shutdown(immediate",
    "PriorityQueue",
    "LifoQueue",
    "to_thread",
    "run_in_executor",
    "ThreadPoolExecutor",
    "set_default_executor",
    "ProcessPoolExecutor",
    "create_subprocess_exec",
    "communicate()",
    "communicate(input)",
    "add_signal_handler",
    "remove_signal_handler",
    "open_connection",
    "start_server",
    "readline",
    "readuntil",
    "drain",
    "at_eof",
    "get_extra_info",
    "ssl=",
    "start_tls",
    "add_reader",
    "aiofiles",
    "aiohttp",
];

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn book() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The cells of each row of the page's tables, without headings.
fn rows() -> Vec<Vec<String>> {
    let page = read(&book().join("asyncio.md"));
    // An escaped bar is part of a cell.
    let page = page.replace("\\|", "\u{1}");
    page.lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| asyncio |"))
        .map(|line| {
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect()
}

/// Text and target of the links in `cell`.
fn links(cell: &str) -> Vec<(&str, &str)> {
    cell.split("](")
        .zip(cell.split("](").skip(1))
        .filter_map(|(before, after)| Some((before.rsplit_once('[')?.1, after.split_once(')')?.0)))
        .collect()
}

#[test]
fn no_call_is_missing() {
    let rows = rows();
    let missing: Vec<_> = CALLS
        .iter()
        .filter(|call| !rows.iter().any(|row| row[0].contains(*call)))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_row_links_to_its_item_and_to_an_existing_test() {
    let core = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime-core/conformance/src");
    let suite = read(&core.join("cases.rs")) + &read(&core.join("io_cases.rs"));
    let rows = rows();
    assert!(rows.len() >= 100, "only {} rows were found", rows.len());
    let mut wrong = Vec::new();
    for row in &rows {
        let [call, here, _, shown] = &row[..] else {
            panic!("not four cells: {row:?}");
        };
        if links(here).is_empty() {
            wrong.push(format!("{call}: no link to what it is here"));
        }
        let tests = links(shown);
        if tests.is_empty() {
            wrong.push(format!("{call}: no test"));
        }
        for (name, target) in tests {
            let (name, path) = (name.trim_matches('`'), book().join(target));
            let text = read(&path);
            let defined = [format!("fn {name}("), format!("fn {name}<")]
                .iter()
                .any(|begin| text.contains(begin));
            // A case runs if the suite lists it. Any other test runs if it is marked as one, or passed to the test's
            // own `main`.
            let runs = if target.contains("/conformance/src/") {
                suite.lines().any(|line| line.trim() == name)
            } else {
                let before = text.split(&format!("fn {name}")).next().unwrap_or_default();
                let mut marks = before.lines().rev().take(3);
                marks.any(|line| line.trim() == "#[test]")
                    || text.contains("trial(") && text.contains(&format!(", {name})"))
            };
            if !(defined && runs) {
                wrong.push(format!("{call}: {target} has no test {name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
