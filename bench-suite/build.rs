//! Tells the library what it was built from: compiler, profile, commit and the versions of what it depends on.
//! Results without these could not be compared with others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// The packages whose dependencies are recorded: what they link decides what is measured.
const RECORDED: [&str; 7] = [
    "bench-suite",
    "runtime-core",
    "runtime-kernel",
    "runtime-library",
    "runtime-mn",
    "runtime-n1",
    "runtime-threads",
];

fn main() {
    // Only what changes the answers: each of these paths is watched, folders with all that is in them.
    for path in [
        "build.rs",
        "src",
        "peers",
        "zoo",
        "../Cargo.lock",
        "../runtime-core/src",
        "../runtime-core/kernel/src",
        "../runtime-core/library/src",
        "../runtime-n1/src",
        "../runtime-mn/src",
        "../runtime-threads/src",
    ] {
        if Path::new(path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    for name in ["HEAD", "index"] {
        if let Some(path) = output("git", &["rev-parse", "--git-path", name]) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    embed_peers();
    list_peers_in_rust();
    set("LAB_RUSTC", output(&rustc(), &["--version"]));
    set("LAB_PROFILE", profile());
    set("LAB_PROFILE_SETTINGS", Some(profile_settings()));
    set("LAB_COMMIT", commit());
    let lock = fs::read_to_string("../Cargo.lock").unwrap_or_default();
    set("LAB_VERSIONS", Some(versions(&lock)));
}

/// The profile's name. `PROFILE` says no more than `debug` or `release`, also for a profile that inherits from one
/// of them; but cargo builds in a folder of the profile's name: `TARGET/PROFILE/build/PACKAGE/out`.
fn profile() -> Option<String> {
    let out = env::var("OUT_DIR").ok()?;
    let folder = Path::new(&out).ancestors().nth(3)?.file_name()?.to_str()?;
    let is_known = Path::new(&out).ancestors().nth(2)?.file_name()? == "build";
    if is_known {
        Some(folder.to_owned())
    } else {
        env::var("PROFILE").ok()
    }
}

/// What cargo tells a build script about the profile's settings: `NAME=VALUE`, separated by semicolons.
fn profile_settings() -> String {
    let name = profile().unwrap_or_default();
    // The profile `dev` builds in the folder `debug`.
    let name = if name == "debug" {
        "dev".to_owned()
    } else {
        name
    };
    let mut settings = BTreeMap::new();
    settings.insert("opt-level", env::var("OPT_LEVEL").ok());
    settings.insert("panic", env::var("CARGO_CFG_PANIC").ok());
    for (setting, suffix) in [
        ("lto", "LTO"),
        ("codegen-units", "CODEGEN_UNITS"),
        ("overflow-checks", "OVERFLOW_CHECKS"),
    ] {
        let variable = format!(
            "CARGO_PROFILE_{}_{suffix}",
            name.to_uppercase().replace('-', "_")
        );
        println!("cargo::rerun-if-env-changed={variable}");
        settings.insert(setting, env::var(variable).ok());
    }
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let flags = flags.replace('\u{1f}', " ");
    settings.insert("rustflags", (!flags.is_empty()).then_some(flags));
    settings
        .into_iter()
        .filter_map(|(setting, value)| {
            Some(format!("{setting}={}", value?.replace([';', '\n'], " ")))
        })
        .collect::<Vec<_>>()
        .join(";")
}

/// Writes a list of the files in `peers` and `zoo`, each with what is in it, for `src/peers/external`.
fn embed_peers() {
    let mut list = String::from("&[\n");
    let mut folders = vec![Path::new("peers").to_owned(), Path::new("zoo").to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            // What tools leave there, such as `__pycache__`, `target` and hidden files, is not ours.
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(['.', '_']) || name == "target" {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    for path in files {
        let whole = fs::canonicalize(&path).expect("it was just listed");
        // Those of `peers` without its name, those of `zoo` with it: no language has that name.
        let name = path.strip_prefix("peers").unwrap_or(&path);
        list.push_str(&format!("    ({name:?}, include_str!({whole:?})),\n"));
    }
    list.push_str("]\n");
    write_to_out("peer_sources.rs", &list);
}

/// Lists the modules of `src/peers` as a table, so that a peer is a file and the line that declares it.
fn list_peers_in_rust() {
    let declared = fs::read_to_string("src/peers/mod.rs").expect("this package has peers");
    let mut list =
        String::from("/// The peers in Rust.\npub(crate) const IN_RUST: &[Register] = &[\n");
    for line in declared.lines() {
        if let Some(name) = line
            .strip_prefix("pub mod ")
            .and_then(|rest| rest.strip_suffix(';'))
        {
            list.push_str(&format!("    {name}::register,\n"));
        }
    }
    list.push_str("];\n");
    write_to_out("peers_in_rust.rs", &list);
}

fn write_to_out(name: &str, text: &str) {
    let output = Path::new(&env::var_os("OUT_DIR").expect("cargo sets it")).join(name);
    fs::write(output, text).expect("the build's own folder takes files");
}

fn rustc() -> String {
    env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned())
}

/// Unknown is empty: `option_env!` could not tell a variable that was not set from one set by an earlier build.
fn set(name: &str, value: Option<String>) {
    println!("cargo::rustc-env={name}={}", value.unwrap_or_default());
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}

fn commit() -> Option<String> {
    let commit = output("git", &["rev-parse", "--short=12", "HEAD"])?;
    let changed = output("git", &["status", "--porcelain", "--untracked-files=no"]);
    Some(if changed.is_some() {
        format!("{commit}-dirty")
    } else {
        commit
    })
}

/// `name=version` of the direct dependencies of the recorded packages, separated by commas.
fn versions(lock: &str) -> String {
    let packages: Vec<&str> = lock.split("[[package]]").skip(1).collect();
    let field = |package: &str, key: &str| {
        package
            .lines()
            .find_map(|line| {
                line.strip_prefix(key)?
                    .trim()
                    .strip_prefix('=')
                    .map(str::trim)
            })
            .map(|value| value.trim_matches('"').to_owned())
    };
    let wanted: BTreeSet<&str> = packages
        .iter()
        .filter(|package| {
            field(package, "name").is_some_and(|name| RECORDED.contains(&name.as_str()))
        })
        .flat_map(|package| {
            package
                .lines()
                .filter_map(|line| line.strip_prefix(" \"")?.strip_suffix("\","))
        })
        .collect();
    let mut versions: Vec<String> = packages
        .iter()
        .filter_map(|package| {
            let name = field(package, "name")?;
            let version = field(package, "version")?;
            // A dependency is locked as `name`, or as `name version` where two versions are in the tree.
            let full = format!("{name} {version}");
            let direct = wanted.contains(name.as_str()) || wanted.contains(full.as_str());
            (direct && !RECORDED.contains(&name.as_str())).then(|| format!("{name}={version}"))
        })
        .collect();
    versions.sort();
    versions.join(",")
}
