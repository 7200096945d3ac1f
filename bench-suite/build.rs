//! Records what the library was built from: compiler, profile, commit and dependency versions. Without these, you could
//! not compare results with others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// The packages whose dependencies are recorded. The code that they link affects what is measured.
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
    // Cargo watches each of these paths, and folders with everything in them. List only what changes the script's
    // output.
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
    embed_peers();
    list_peers_in_rust();
    set("LAB_RUSTC", output(&rustc(), &["--version"]));
    set("LAB_PROFILE", profile());
    set("LAB_PROFILE_SETTINGS", Some(profile_settings()));
    set("LAB_COMMIT", is_to_measure().then(commit).flatten());
    let lock = fs::read_to_string("../Cargo.lock").unwrap_or_default();
    set("LAB_VERSIONS", Some(versions(&lock)));
}

/// The profile's name. `PROFILE` is `debug` or `release` even for a profile that inherits from one of them. Cargo names
/// the build folder after the profile, so the name is read from there: `TARGET/PROFILE/build/PACKAGE/out`.
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

/// The profile settings that cargo passes to a build script: `NAME=VALUE`, separated by semicolons.
fn profile_settings() -> String {
    let name = profile().unwrap_or_default();
    // The `dev` profile builds in the folder `debug`.
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

/// Writes a list of the files in `peers` and `zoo` with their contents, for `src/peers/external`.
fn embed_peers() {
    let mut list = String::from("&[\n");
    let mut folders = vec![Path::new("peers").to_owned(), Path::new("zoo").to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            // Skip what tools leave behind: `__pycache__`, `target` and hidden files.
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
        // Paths in `peers` lose that prefix, paths in `zoo` keep theirs. No language is called `zoo`.
        let name = path.strip_prefix("peers").unwrap_or(&path);
        list.push_str(&format!("    ({name:?}, include_str!({whole:?})),\n"));
    }
    list.push_str("]\n");
    write_to_out("peer_sources.rs", &list);
}

/// Generates a table of the modules in `src/peers`. To add a peer, you add a file and the line that declares it.
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

/// Sets the variable; an unknown value is empty. If it were left unset, `option_env!` might see a value from an earlier
/// build.
fn set(name: &str, value: Option<String>) {
    println!("cargo::rustc-env={name}={}", value.unwrap_or_default());
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}

/// Whether this build is for measuring, and so records its commit. The `dev` profile is not: with the commit in it, the
/// library would recompile after every commit, for figures that nobody compares.
fn is_to_measure() -> bool {
    profile().is_none_or(|profile| profile != "debug")
}

/// The commit. Makes cargo rerun this script when it changes.
fn commit() -> Option<String> {
    for name in ["HEAD", "index"] {
        if let Some(path) = output("git", &["rev-parse", "--git-path", name]) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let commit = output("git", &["rev-parse", "--short=12", "HEAD"])?;
    let changed = output("git", &["status", "--porcelain", "--untracked-files=no"]);
    Some(if changed.is_some() {
        format!("{commit}-dirty")
    } else {
        commit
    })
}

/// `name=version` for each direct dependency of the recorded packages, separated by commas.
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
            // The lock file writes a dependency as `name`, or as `name version` if the tree holds two versions.
            let full = format!("{name} {version}");
            let direct = wanted.contains(name.as_str()) || wanted.contains(full.as_str());
            (direct && !RECORDED.contains(&name.as_str())).then(|| format!("{name}={version}"))
        })
        .collect();
    versions.sort();
    versions.join(",")
}
