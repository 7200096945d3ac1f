//! Limits of the system: memory, threads, descriptors.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;

use bench_suite::results::Status;
use rustix::process::getuid;

use crate::process::{assert_code, folder, lab_after, results, stderr, stdout};

#[test]
fn a_limit_on_memory_fails_no_run() {
    // Far less than a quarter of the memory of any machine on which this is built.
    for limit in ["ulimit -v 900000", "ulimit -v 300000", "ulimit -d 200000"] {
        let folder = folder();
        let line = "compare hash --size 1 --runtime n1,mn --quick --rounds 1 --no-progress";
        let output = lab_after(folder.path(), limit, line).output().unwrap();
        assert_code(&output, 0);
        let results = results(&folder.path().join("lab-out/results.json"));
        let all_ok = results.runs.iter().all(|run| run.status == Status::Ok);
        assert!(all_ok, "{limit}: {:?}", results.runs);
    }
}

/// The number of threads of this user's processes.
fn own_threads() -> u64 {
    let own = format!("Uid:\t{}\t", getuid().as_raw());
    let mut threads = 0;
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        if status.contains(&own)
            && let Some(count) = status
                .lines()
                .find_map(|line| line.strip_prefix("Threads:"))
        {
            threads += count.trim().parse::<u64>().unwrap_or(0);
        }
    }
    threads
}

#[test]
fn too_few_threads_for_the_connections_is_refused_and_no_crash() {
    /// A user without other processes. Root is exempt from the limit, and becomes this user for the test.
    const NOBODY_ID: u32 = 64_123;
    for workload in ["echo", "http"] {
        let folder = folder();
        let line = format!(
            "compare {workload} --runtime threads --param connections=1000 --quick --rounds 1 --no-progress"
        );
        let is_root = getuid().is_root();
        let limit = if is_root { 60 } else { own_threads() + 60 };
        // Some shells call the option `-u`, others `-p`.
        let before = format!("ulimit -u {limit} 2>/dev/null || ulimit -p {limit}");
        let mut command = lab_after(folder.path(), &before, &line);
        if is_root {
            chown(folder.path(), Some(NOBODY_ID), Some(NOBODY_ID)).unwrap();
            command.uid(NOBODY_ID).gid(NOBODY_ID);
        }
        let output = command.output().unwrap();
        assert_code(&output, 0);
        let results = results(&folder.path().join("lab-out/results.json"));
        assert!(!results.runs.is_empty());
        for run in &results.runs {
            assert_eq!(run.status, Status::Refused, "{:?}", run.error);
        }
        assert!(stdout(&output).contains("refused"), "{}", stdout(&output));
    }
}

#[test]
fn too_few_descriptors_for_the_connections_is_refused_and_no_crash() {
    for (runtime, connections) in [("n1", 1000), ("n1", 90), ("std-blocking", 1000)] {
        let folder = folder();
        let line = format!(
            "compare echo --runtime {runtime} --param connections={connections} --quick --rounds 1 --no-progress"
        );
        let output = lab_after(folder.path(), "ulimit -n 90", &line)
            .output()
            .unwrap();
        assert_code(&output, 0);
        let results = results(&folder.path().join("lab-out/results.json"));
        for run in &results.runs {
            let error = &run.error;
            assert_eq!(
                run.status,
                Status::Refused,
                "{runtime}, {connections}: {error:?}"
            );
        }
    }
}

#[test]
fn a_thread_for_each_of_many_yielding_tasks_fits_into_a_quick_look() {
    let folder = folder();
    let line = "compare yield --runtime threads --quick --no-progress";
    let output = lab_after(folder.path(), ":", line).output().unwrap();
    let results = results(&folder.path().join("lab-out/results.json"));
    for run in &results.runs {
        assert_eq!(
            run.status,
            Status::Ok,
            "{:?}: {}",
            run.error,
            stderr(&output)
        );
    }
}
