//! What a runtime leaves behind, and what it does while it is idle. This is a separate process, because it counts the
//! process's threads.
#![cfg(target_os = "linux")]

use std::fs;
use std::future::pending;
use std::net::Ipv4Addr;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use runtime_core::Runtime as _;
use runtime_core::net::TcpListener;
use runtime_threads::Runtime;

/// One test at a time, because each counts all threads.
static ALONE: Mutex<()> = Mutex::new(());

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

/// Voluntary and other context switches of the threads whose names begin with `prefix`; `None` if one of them is not
/// asleep.
fn switches(prefix: &str) -> Option<u64> {
    let mut sum = 0;
    for task in fs::read_dir("/proc/self/task").unwrap() {
        let status = fs::read_to_string(task.unwrap().path().join("status")).ok()?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.trim_start_matches(':').trim().to_owned())
        };
        if !field("Name")?.starts_with(prefix) {
            continue;
        }
        if !field("State")?.starts_with('S') {
            return None;
        }
        for name in ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"] {
            sum += field(name)?.parse::<u64>().ok()?;
        }
    }
    Some(sum)
}

#[test]
fn an_idle_runtime_does_nothing() {
    const TASKS: u64 = 60;
    let _alone = ALONE.lock().unwrap_or_else(|poison| poison.into_inner());
    let runtime = Runtime::builder().thread_name("idle").build().unwrap();
    let handle = runtime.handle();
    for number in 0..TASKS {
        drop(handle.spawn(async move {
            match number % 3 {
                0 => pending::<()>().await,
                1 => runtime_core::sleep(Duration::from_secs(3600)).await,
                _ => {
                    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
                    drop(listener.accept().await);
                }
            }
        }));
    }
    // Waits until all have parked.
    let begun = Instant::now();
    while handle.metrics().parks < Some(TASKS) || switches("idle-").is_none() {
        assert!(begun.elapsed() < Duration::from_secs(30));
        thread::yield_now();
    }
    let (metrics, before) = (handle.metrics(), switches("idle-"));
    thread::sleep(Duration::from_millis(300));
    assert_eq!(handle.metrics(), metrics, "polls or parks while idle");
    let switched = switches("idle-").expect("all sleep") - before.expect("all slept");
    // The last thread may have been seen asleep somewhere other than in its park.
    assert!(switched < TASKS, "{switched} context switches while idle");
}

#[test]
fn a_thousand_runtimes_leave_no_thread_behind() {
    let _alone = ALONE.lock().unwrap_or_else(|poison| poison.into_inner());
    let cycle = |round: usize| {
        let runtime = Runtime::new().unwrap();
        let handle = runtime.handle();
        let waiting = handle.spawn(pending::<()>());
        let inner = handle.clone();
        runtime.block_on(async move {
            let tasks: Vec<_> = (0..3).map(|_| inner.spawn(async {})).collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
        drop(handle.spawn(async { runtime_core::sleep(Duration::from_secs(3600)).await }));
        if round.is_multiple_of(2) {
            assert!(runtime.shutdown(Duration::from_secs(3600)).is_empty());
        } else {
            drop(runtime);
        }
        assert!(waiting.is_finished());
    };
    cycle(0);
    let before = threads();
    for round in 0..1000 {
        cycle(round);
        // The kernel lists a joined thread for a moment longer.
        let begun = Instant::now();
        while threads() != before {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "after {round} more runtimes"
            );
            thread::yield_now();
        }
    }
}
