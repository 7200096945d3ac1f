//! Shards of a comparison, measured by several processes and merged; CPU quotas; other output formats.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use bench_suite::results::Results;

use crate::process::{QUICK, assert_code, folder, lab, lab_after, results, stderr, stdout};

/// Three settings of one workload, which take a moment each.
const THREE: &str =
    "compare spawn --param size=1,2,3 --runtime n1,mn --quick --rounds 2 --no-progress --seed 7";

fn done(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert_code(&output, 0);
    output
}

/// Measures all three settings in two shards, with the variables that GNU parallel sets.
fn sharded(folder: &Path) {
    for part in ["1", "2"] {
        let line = format!("{THREE} --shard auto/2 --json part-{part}.json");
        done(lab(folder, &line).env("PARALLEL_SEQ", part));
    }
}

#[test]
fn shards_are_disjoint_and_joined_they_are_the_whole() {
    let folder = folder();
    sharded(folder.path());
    let sizes = |results: &Results| {
        let mut sizes: Vec<u64> = results.runs.iter().map(|run| run.params["size"]).collect();
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    };
    let parts = [1, 2].map(|part| results(&folder.path().join(format!("part-{part}.json"))));
    assert_eq!((sizes(&parts[0]), sizes(&parts[1])), (vec![1, 3], vec![2]));
    assert_eq!(parts[1].environments[0].shard.as_deref(), Some("2/2"));
    // Each shard has its own folder.
    assert!(
        folder
            .path()
            .join("lab-out/shard-2-of-2/report.html")
            .is_file()
    );

    let line = "merge part-1.json part-2.json --json whole.json --unlike governors";
    let output = done(&mut lab(folder.path(), line));
    assert!(
        stdout(&output).contains("results: whole.json"),
        "{}",
        stdout(&output)
    );
    let whole = results(&folder.path().join("whole.json"));
    assert_eq!(sizes(&whole), [1, 2, 3]);
    let [one, two] = parts.map(|part| part.comparisons);
    // Each setting is in one shard, so recomputing the comparisons changes nothing.
    assert_eq!(whole.comparisons, [one, two].concat());
    assert_eq!(whole.environments.len(), 2);
    done(&mut lab(folder.path(), "report whole.json --out page"));
}

#[test]
fn an_adaptive_run_compared_again_has_the_same_verdicts() {
    let folder = folder();
    let line = "compare spawn --size 2 --runtime n1,mn --rounds 9 --no-progress --json one.json";
    done(&mut lab(folder.path(), line));
    done(&mut lab(folder.path(), "merge one.json --json again.json"));
    let [one, again] = ["one.json", "again.json"].map(|name| results(&folder.path().join(name)));
    assert_eq!(one.comparisons, again.comparisons);
    assert_eq!(one.remarks, again.remarks);
    assert!(one.comparisons.iter().any(|one| one.verdict.is_some()));
}

#[test]
fn results_that_cannot_be_joined_are_one_line_and_code_2() {
    let folder = folder();
    sharded(folder.path());
    let path = folder.path().join("part-2.json");
    let mut part = results(&path);
    part.environments[0].kernel = Some("another".to_owned());
    part.write(&path).unwrap();
    let both = "merge part-1.json part-2.json --json whole.json";
    let refused = lab(folder.path(), both).output().unwrap();
    assert_code(&refused, 2);
    assert!(
        stderr(&refused).contains("--unlike kernels"),
        "{}",
        stderr(&refused)
    );
    assert!(!folder.path().join("whole.json").exists());
    done(&mut lab(
        folder.path(),
        &format!("{both} --unlike kernels,governors"),
    ));
    for (line, part) in [
        (
            "merge part-1.json part-1.json --json x.json",
            "of the same run",
        ),
        (
            "merge part-1.json nowhere.json --json x.json",
            "cannot be read",
        ),
        (
            "merge part-1.json --json nowhere/x.json",
            "--json nowhere/x.json",
        ),
        (
            "merge part-1.json part-2.json --json x.json --unlike kernel",
            "did you mean `kernels`",
        ),
        ("compare spawn --shard 3/2", "no part 3 of 2"),
        ("compare spawn --size 1 --shard 2/2", "this shard is empty"),
        ("compare spawn --shard auto", "none of SLURM_ARRAY_TASK_ID"),
    ] {
        let output = lab(folder.path(), line).output().unwrap();
        assert_code(&output, 2);
        assert!(
            stderr(&output).contains(part),
            "{line}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn every_format_is_written_and_the_history_grows() {
    let folder = folder();
    let formats =
        "--markdown t.md --openmetrics m.txt --bencher b.json --history h.csv --runs-csv r.csv";
    let mut before = String::new();
    for rows in 1..=2 {
        done(&mut lab(folder.path(), &format!("{QUICK} {formats}")));
        let history = fs::read_to_string(folder.path().join("h.csv")).unwrap();
        assert_eq!(history.lines().count(), 1 + rows);
        assert!(history.starts_with(&before), "the rows before stay");
        before = history;
    }
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert!(read("t.md").contains("| n1 |") && read("m.txt").ends_with("# EOF\n"));
    let bencher: serde_json::Value = serde_json::from_str(&read("b.json")).unwrap();
    assert!(
        bencher["hash/size=1/n1"]["wall_ns_per_op"]["value"]
            .as_f64()
            .unwrap()
            > 0.0
    );
    let runs = results(&folder.path().join("lab-out/results.json"))
        .runs
        .len();
    assert_eq!(read("r.csv").lines().count(), 1 + runs);

    let output = done(&mut lab(folder.path(), &format!("{QUICK} --markdown -")));
    assert!(
        stdout(&output).starts_with("### hash"),
        "{}",
        stdout(&output)
    );
    fs::write(folder.path().join("h.csv"), "not,a,history\n").unwrap();
    let output = lab(folder.path(), &format!("{QUICK} --history h.csv"))
        .output()
        .unwrap();
    assert_code(&output, 2);
    assert!(
        stderr(&output).contains("--history h.csv"),
        "{}",
        stderr(&output)
    );
    assert_eq!(read("h.csv"), "not,a,history\n");
}

fn cores_with(folder: &Path, before: &str) -> Results {
    let line = "compare hash --size 1 --runtime mn --quick --rounds 1 --no-progress";
    done(&mut lab_after(folder, before, line));
    results(&folder.join("lab-out/results.json"))
}

#[test]
fn a_mask_decides_how_many_workers_there_are() {
    let folder = folder();
    let found = cores_with(folder.path(), "taskset -cp 0 $$ >/dev/null");
    let environment = &found.environments[0];
    let conditions = environment.conditions.as_ref().unwrap();
    assert_eq!((environment.cores, conditions.cores_in_mask), (1, Some(1)));
    assert!(
        found.runs.iter().all(|run| run.config.workers == Some(1)),
        "{:?}",
        found.runs
    );
}

#[test]
fn a_control_group_s_quota_decides_how_many_workers_there_are() {
    let name = format!("lab-test-{}", std::process::id());
    // Version 1, then version 2.
    let first = format!("/sys/fs/cgroup/cpu/{name}");
    let second = format!("/sys/fs/cgroup/{name}");
    let quota = [
        (&first, "cpu.cfs_quota_us", "100000"),
        (&second, "cpu.max", "100000 100000"),
    ];
    for (group, file, value) in quota {
        let made = fs::create_dir(group).is_ok();
        let file = Path::new(group).join(file);
        // A folder of another file system would accept any file.
        let limited = made && file.exists() && fs::write(&file, value).is_ok();
        if limited {
            let folder = folder();
            let found = cores_with(folder.path(), &format!("echo $$ >{group}/cgroup.procs"));
            let environment = &found.environments[0];
            let conditions = environment.conditions.as_ref().unwrap();
            assert_eq!(
                (environment.cores, conditions.cpu_quota_cores),
                (1, Some(1.0))
            );
            assert!(conditions.throttled.is_some());
            assert!(found.runs.iter().all(|run| run.config.workers == Some(1)));
        } else {
            println!("no quota of this version can be set here");
        }
        if made {
            let _ = fs::remove_dir(group);
        }
    }
}
