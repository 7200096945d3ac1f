//! Where results go, and standard output that is closed or full.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use crate::hang_up::hang_up;
use crate::process::{
    Echo, MEMORY, QUICK, SCALE, SWEEP, Server, assert_code, assert_kept, folder, lab, names,
    results, stdout,
};

fn load(address: &str) -> String {
    format!("load echo --addr {address} --connections 2 --duration 50ms")
}

/// Every command that writes to a given file.
fn writers(address: &str) -> [String; 3] {
    [QUICK.to_owned(), SWEEP.to_owned(), load(address)]
}

fn is_json(text: &str) {
    let value: serde_json::Value = serde_json::from_str(text)
        .unwrap_or_else(|error| panic!("{error}: {}", text.chars().take(300).collect::<String>()));
    assert!(value["schema"].is_string());
}

/// A character device of our own, like `/dev/full`; `None` if we may not create or open it.
fn device(path: &Path, minor: u32) -> Option<()> {
    mknodat(
        CWD,
        path,
        FileType::CharacterDevice,
        Mode::from_raw_mode(0o666),
        makedev(1, minor),
    )
    .ok()?;
    OpenOptions::new().write(true).open(path).ok().map(drop)
}

#[test]
fn a_fifo_is_written_into_and_stays_a_fifo() {
    let folder = folder();
    let server = Echo::start();
    let path = folder.path().join("fifo");
    mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    for line in writers(&server.address) {
        let reader = {
            let path = path.clone();
            thread::spawn(move || fs::read_to_string(path).unwrap())
        };
        let output = lab(folder.path(), &format!("{line} --json fifo"))
            .output()
            .unwrap();
        let is_fifo = fs::symlink_metadata(&path).unwrap().file_type().is_fifo();
        assert!(is_fifo, "{line}: the FIFO was replaced");
        assert_code(&output, 0);
        is_json(&reader.join().unwrap());
    }
}

#[test]
fn a_device_is_written_into_and_stays_a_device() {
    const NULL: u32 = 3;
    const FULL: u32 = 7;
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let (Some(()), Some(())) = (device(&at("null"), NULL), device(&at("full"), FULL)) else {
        println!("no devices can be made here");
        return;
    };
    symlink("full", at("link")).unwrap();
    let server = Echo::start();
    for line in writers(&server.address) {
        for (name, code) in [("null", 0), ("full", 1), ("link", 1)] {
            let output = lab(folder.path(), &format!("{line} --json {name}"))
                .output()
                .unwrap();
            assert_code(&output, code);
            // What was measured is printed, and stored where there is room.
            assert!(output.stdout.len() > 100, "{line}: {output:?}");
        }
        for name in ["null", "full"] {
            let kind = fs::symlink_metadata(at(name)).unwrap().file_type();
            assert!(kind.is_char_device(), "{line}: {name} was replaced");
        }
        assert!(at("link").is_symlink());
    }
    assert_kept(folder.path());
}

#[test]
fn a_link_stays_a_link_and_a_file_keeps_its_mode() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("elsewhere")).unwrap();
    symlink("elsewhere/real.json", at("link.json")).unwrap();
    symlink("elsewhere/new.json", at("dangling.json")).unwrap();
    let server = Echo::start();
    for line in writers(&server.address) {
        fs::write(at("elsewhere/real.json"), "old").unwrap();
        fs::set_permissions(at("elsewhere/real.json"), fs::Permissions::from_mode(0o640)).unwrap();
        for name in ["link.json", "dangling.json"] {
            let output = lab(folder.path(), &format!("{line} --json {name}"))
                .output()
                .unwrap();
            assert_code(&output, 0);
            assert!(at(name).is_symlink(), "{line}: {name} was replaced");
        }
        is_json(&fs::read_to_string(at("elsewhere/real.json")).unwrap());
        is_json(&fs::read_to_string(at("elsewhere/new.json")).unwrap());
        let mode = fs::metadata(at("elsewhere/real.json")).unwrap().mode();
        assert_eq!(mode & 0o7777, 0o640, "{line}");
        // No other file is left beside them.
        assert_eq!(names(&at("elsewhere")), ["new.json", "real.json"]);
        fs::remove_file(at("elsewhere/new.json")).unwrap();
    }
}

#[test]
fn a_report_s_files_may_be_links_too() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("lab-out")).unwrap();
    fs::create_dir(at("site")).unwrap();
    for name in ["results.json", "report.html"] {
        symlink(at("site").join(name), at("lab-out").join(name)).unwrap();
    }
    assert_code(&lab(folder.path(), QUICK).output().unwrap(), 0);
    let line = "report lab-out/results.json --out lab-out";
    assert_code(&lab(folder.path(), line).output().unwrap(), 0);
    for name in ["results.json", "report.html"] {
        assert!(at("lab-out").join(name).is_symlink(), "{name}");
        assert!(at("site").join(name).is_file(), "{name}");
    }
}

#[test]
fn a_dash_writes_to_standard_output_and_nothing_else_does() {
    let folder = folder();
    let server = Echo::start();
    for line in writers(&server.address) {
        for name in ["-", "/dev/stdout", "/proc/self/fd/1"] {
            let output = lab(folder.path(), &format!("{line} --json {name}"))
                .output()
                .unwrap();
            assert_code(&output, 0);
            is_json(&stdout(&output));
        }
        // Into a file that the shell has opened.
        let path = folder.path().join("captured");
        let status = lab(folder.path(), &format!("{line} --json /dev/stdout"))
            .stdout(File::create(&path).unwrap())
            .status()
            .unwrap();
        assert!(status.success());
        is_json(&fs::read_to_string(&path).unwrap());
    }
    assert!(!folder.path().join("-").exists());
}

#[test]
fn an_unwritable_output_is_found_before_measuring() {
    let folder = folder();
    let server = Echo::start();
    for line in writers(&server.address) {
        for name in ["nowhere/x.json", "."] {
            let output = lab(folder.path(), &format!("{line} --json {name}"))
                .output()
                .unwrap();
            assert_code(&output, 2);
            assert!(String::from_utf8_lossy(&output.stderr).contains(&format!("--json {name}")));
        }
    }
    assert_eq!(names(folder.path()), [""; 0]);
}

/// Standard output without a reader.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn full() -> Stdio {
    OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap()
        .into()
}

#[test]
fn a_closed_pipe_is_not_an_error_and_loses_no_results() {
    let folder = folder();
    let server = Echo::start();
    assert_code(&lab(folder.path(), QUICK).output().unwrap(), 0);
    for line in [
        "--help".to_owned(),
        "--version".to_owned(),
        "compare --help".to_owned(),
        "list".to_owned(),
        "list --json".to_owned(),
        "peers".to_owned(),
        "report lab-out/results.json --out again".to_owned(),
        "soak --duration 100ms --runtime n1".to_owned(),
        "merge lab-out/results.json --json whole.json".to_owned(),
        "merge lab-out/results.json --json -".to_owned(),
        MEMORY.to_owned(),
        SCALE.to_owned(),
        format!("{QUICK} --json -"),
        format!("{QUICK} --openmetrics -"),
        format!("{} --json -", load(&server.address)),
        load(&server.address),
    ] {
        let output = lab(folder.path(), &line).stdout(closed()).output().unwrap();
        assert_code(&output, 0);
    }
    for line in [QUICK, SWEEP] {
        fs::remove_dir_all(folder.path().join("lab-out")).unwrap();
        let output = lab(folder.path(), line).stdout(closed()).output().unwrap();
        assert_code(&output, 0);
        assert_kept(folder.path());
    }
    // As a shell starts it.
    let binary = env!("CARGO_BIN_EXE_lab");
    let shell = format!("{binary} list | head -1; {binary} list 2>&1 | true");
    let output = Command::new("sh").arg("-c").arg(shell).output().unwrap();
    assert_code(&output, 0);
}

#[test]
fn a_full_standard_output_is_one_line_and_loses_no_results() {
    let folder = folder();
    let server = Echo::start();
    assert_code(&lab(folder.path(), QUICK).output().unwrap(), 0);
    for line in [
        "--help".to_owned(),
        "list".to_owned(),
        "list --json".to_owned(),
        "peers".to_owned(),
        "report lab-out/results.json --out again".to_owned(),
        "soak --duration 100ms --runtime n1".to_owned(),
        "serve echo --runtime n1 --addr 127.0.0.1:0".to_owned(),
        "merge lab-out/results.json --json whole.json".to_owned(),
        MEMORY.to_owned(),
        SCALE.to_owned(),
        format!("{QUICK} --json -"),
        format!("{} --json load.json", load(&server.address)),
    ] {
        let output = lab(folder.path(), &line).stdout(full()).output().unwrap();
        assert_code(&output, 1);
    }
    is_json(&fs::read_to_string(folder.path().join("load.json")).unwrap());
    for line in [QUICK, SWEEP] {
        fs::remove_dir_all(folder.path().join("lab-out")).unwrap();
        let output = lab(folder.path(), line).stdout(full()).output().unwrap();
        assert_code(&output, 1);
        assert_kept(folder.path());
    }
}

#[test]
fn messages_that_cannot_be_printed_change_no_exit_code() {
    let folder = folder();
    for (line, code) in [
        ("comapre", 2),
        ("compare ecoh", 2),
        ("list", 0),
        ("compare hash --size 1 --runtime n1 --quick --rounds 1", 0),
    ] {
        for silent in [closed(), full()] {
            let status = lab(folder.path(), line)
                .stdout(Stdio::null())
                .stderr(silent)
                .status()
                .unwrap();
            assert_eq!(status.code(), Some(code), "{line}");
        }
    }
}

#[test]
fn a_server_continues_when_its_output_is_closed() {
    let folder = folder();
    let server = Server::start(folder.path(), "serve echo --runtime n1 --addr 127.0.0.1:0");
    let output = lab(folder.path(), &load(&server.address)).output().unwrap();
    assert_code(&output, 0);
    // Its terminal is gone: it ends cleanly, as with the other signals.
    assert_eq!(server.end(hang_up()), Some(0));
}

#[test]
fn the_results_of_earlier_runs_are_kept() {
    let folder = folder();
    let out = folder.path().join("lab-out");
    let mut seeds = Vec::new();
    for seed in 1..=3_u64 {
        let output = lab(folder.path(), &format!("{QUICK} --seed {seed}"))
            .output()
            .unwrap();
        assert_code(&output, 0);
        let newest = results(&out.join("results.json"));
        assert_eq!(newest.environments[0].seed, seed);
        seeds.push(seed);
        let earlier = stdout(&output)
            .lines()
            .find_map(|line| line.strip_prefix("earlier: ").map(str::to_owned));
        assert_eq!(earlier.is_some(), seed > 1, "{}", stdout(&output));
    }
    // Simulate a killed run, which leaves its unfinished results.
    fs::copy(
        out.join("results.json"),
        out.join("results.unfinished.json"),
    )
    .unwrap();
    assert_code(&lab(folder.path(), QUICK).output().unwrap(), 0);
    assert_eq!(names(&out), ["earlier", "report.html", "results.json"]);

    let mut kept = Vec::new();
    let mut unfinished = 0;
    for run in names(&out.join("earlier")) {
        let run = out.join("earlier").join(run);
        match names(&run).as_slice() {
            [one] if one == "results.unfinished.json" => unfinished += 1,
            files => {
                assert_eq!(files, ["report.html", "results.json"]);
                kept.push(results(&run.join("results.json")).environments[0].seed);
            }
        }
    }
    kept.sort_unstable();
    assert_eq!((kept, unfinished), (seeds, 1));
}
