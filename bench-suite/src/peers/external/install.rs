//! Whether a peer is installed, its version, and its build.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::manifest::{Peer, Place, Placeholders, numbers, version_in};
use super::sources;
use crate::vocabulary::Failure;

/// How long a program may take to print its version.
const VERSION_LIMIT: Duration = Duration::from_secs(20);

/// How long a build may take.
const BUILD_LIMIT: Duration = Duration::from_secs(600);

/// A peer that can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Installed {
    /// The program of the manifest, at the path where it was found.
    pub(crate) program: PathBuf,
    /// The version as the program prints it; `None` if the manifest does not say how to ask.
    pub(crate) version: Option<String>,
    /// The manifest's folder.
    pub(crate) dir: PathBuf,
    /// The build's output folder.
    pub(crate) build: PathBuf,
}

/// Finds what the peer needs; once per process.
///
/// # Errors
/// What is missing and how to get it.
pub(crate) fn find(peer: &Peer) -> Result<Installed, Failure> {
    type Answers = HashMap<&'static str, Result<Installed, Failure>>;
    static FOUND: OnceLock<Mutex<Answers>> = OnceLock::new();
    let found = FOUND.get_or_init(Mutex::default);
    let known = |answers: &Mutex<Answers>| {
        let answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get(peer.name).cloned()
    };
    if let Some(answer) = known(found) {
        return answer;
    }
    let answer = look(peer);
    let mut answers = found.lock().unwrap_or_else(PoisonError::into_inner);
    answers.insert(peer.name, answer.clone());
    answer
}

fn look(peer: &Peer) -> Result<Installed, Failure> {
    let disk = |error: io::Error| {
        let cache = sources::CACHE;
        Failure::Refused(format!(
            "{} can't be unpacked ({error}); {cache}=DIR chooses another place",
            peer.name
        ))
    };
    let dir = match &peer.place {
        Place::Embedded(language) => sources::unpacked(language).map_err(disk)?,
        Place::Folder(folder) => folder.clone(),
    };
    let build = sources::build_folder(peer, &dir).map_err(disk)?;
    let manifest = &peer.manifest;
    let mut candidates = manifest.program.clone();
    if candidates.is_empty() {
        candidates.extend(manifest.command.first().or(manifest.serve.first()).cloned());
    }
    let plain = candidates
        .iter()
        .find(|name| !name.contains(['/', '$', '{']));
    let mut reason = format!("no {}", plain.unwrap_or(&manifest.name));
    for program in candidates
        .iter()
        .flat_map(|candidate| places(candidate, &dir, &build))
    {
        let program = match on_path(&program) {
            Some(path) => path,
            // The build will create it.
            None if program.starts_with(&build) => program,
            None => continue,
        };
        let mut installed = Installed {
            program,
            version: None,
            dir: dir.clone(),
            build: build.clone(),
        };
        if manifest.version.is_empty() {
            return Ok(installed);
        }
        match ask_version(peer, &installed) {
            Ok(version) => {
                let least = manifest.at_least.as_deref();
                if least.is_none_or(|least| numbers(&version) >= numbers(least)) {
                    installed.version = Some(version);
                    return Ok(installed);
                }
                let program = installed.program.display();
                reason = format!(
                    "{program} is {version}, {} or later is needed",
                    least.unwrap_or_default()
                );
            }
            Err(error) => reason = error,
        }
    }
    Err(Failure::NotInstalled(format!(
        "{reason}; to get it: {}",
        manifest.install
    )))
}

/// The possible paths of `candidate`: variables are replaced and the star is expanded, newest names first.
fn places(candidate: &str, dir: &Path, build: &Path) -> Vec<PathBuf> {
    let mut text = candidate
        .replace("{dir}", &dir.to_string_lossy())
        .replace("{build}", &build.to_string_lossy());
    if let Some(rest) = text.strip_prefix('$') {
        let end = rest
            .find(|character: char| !(character.is_ascii_alphanumeric() || character == '_'))
            .unwrap_or(rest.len());
        let value = std::env::var(&rest[..end]).unwrap_or_default();
        if value.is_empty() {
            return Vec::new();
        }
        text = format!("{value}{}", &rest[end..]);
    }
    let Some((before, after)) = text.split_once("/*/") else {
        return vec![PathBuf::from(text)];
    };
    let mut names: Vec<PathBuf> = fs::read_dir(before)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join(after))
        .filter(|path| path.exists())
        .collect();
    names.sort();
    names.reverse();
    names
}

/// The program's own path; a bare name is looked up as in a shell.
fn on_path(program: &Path) -> Option<PathBuf> {
    use rustix::fs::{Access, access};
    let runs = |path: &Path| path.is_file() && access(path, Access::EXEC_OK).is_ok();
    if program.components().count() > 1 {
        return runs(program).then(|| program.to_owned());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|path| runs(path))
}

fn ask_version(peer: &Peer, installed: &Installed) -> Result<String, String> {
    let output = run(peer, installed, &peer.manifest.version, VERSION_LIMIT)?;
    version_in(&output).ok_or_else(|| format!("{} names no version", installed.program.display()))
}

/// Runs one command of the manifest in its folder, and returns its output.
fn run(
    peer: &Peer,
    installed: &Installed,
    words: &[String],
    limit: Duration,
) -> Result<String, String> {
    let placeholders = Placeholders {
        dir: &installed.dir,
        build: &installed.build,
        program: &installed.program.to_string_lossy(),
        workers: 1,
        workload: "",
    };
    let words = placeholders.fill(words);
    let Some((program, arguments)) = words.split_first() else {
        return Err("an empty command".to_owned());
    };
    let name = Path::new(program)
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let mut child = Command::new(program)
        .args(arguments)
        .envs(&peer.manifest.environment)
        .current_dir(&installed.dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("{name} can't be started ({error})"))?;
    let stdout = child.stdout.take().map(read_all);
    let stderr = child.stderr.take().map(read_all);
    let deadline = Instant::now() + limit;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() >= deadline => {
                let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
                let _ = child.wait();
                return Err(format!("{name} did not end within {} s", limit.as_secs()));
            }
            Ok(None) => thread::sleep(Duration::from_millis(2)),
            Err(error) => return Err(format!("{name} can't be waited for ({error})")),
        }
    };
    // Processes that it left running hold the pipes open.
    let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    let text = |reader: Option<thread::JoinHandle<String>>| {
        reader
            .and_then(|reader| reader.join().ok())
            .unwrap_or_default()
    };
    let (stdout, stderr) = (text(stdout), text(stderr));
    if status.success() {
        // Java prints its version on standard error.
        return Ok(format!("{stdout}\n{stderr}"));
    }
    let all = format!("{stdout}\n{stderr}");
    let mut lines = all.lines().map(str::trim).filter(|line| !line.is_empty());
    let error = |line: &&str| line.contains("rror");
    let last = lines.clone().find(error).or_else(|| lines.next_back());
    Err(format!(
        "{name}: {}",
        last.unwrap_or("failed without a message")
    ))
}

fn read_all(mut from: impl io::Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // The time limit stops a program that prints endlessly.
        let _ = from.by_ref().take(1 << 20).read_to_end(&mut bytes);
        let _ = io::copy(&mut from, &mut io::sink());
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Builds the peer, unless it was already built from these sources with this version.
///
/// # Errors
/// [`Failure::NotInstalled`] if something is missing, [`Failure::Crashed`] if the build fails.
pub(crate) fn prepare(peer: &Peer) -> Result<Installed, Failure> {
    let installed = find(peer)?;
    if peer.manifest.build.is_empty() {
        return Ok(installed);
    }
    build(peer, &installed)
        .map_err(|error| Failure::Crashed(format!("the build of {} failed: {error}", peer.name)))?;
    Ok(installed)
}

fn build(peer: &Peer, installed: &Installed) -> Result<(), String> {
    let disk = |error: io::Error| format!("{}: {error}", installed.build.display());
    fs::create_dir_all(&installed.build).map_err(disk)?;
    // Several labs may start at once: one builds, the others wait.
    let lock = File::create(installed.build.join(".lock")).map_err(disk)?;
    lock.lock().map_err(disk)?;
    let stamp = installed.build.join(".built");
    let built = format!(
        "{}\n{}\n{:?}\n{}",
        installed.program.display(),
        installed.version.as_deref().unwrap_or_default(),
        peer.manifest.build,
        newest_source(installed).unwrap_or_default(),
    );
    if fs::read_to_string(&stamp).is_ok_and(|text| text == built) {
        return Ok(());
    }
    for command in &peer.manifest.build {
        run(peer, installed, command, BUILD_LIMIT)?;
    }
    fs::write(&stamp, built).map_err(disk)
}

/// The modification time of the newest file beside the manifest. A changed source is built again.
fn newest_source(installed: &Installed) -> Option<u128> {
    let times = fs::read_dir(&installed.dir)
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            let written = metadata
                .modified()
                .ok()?
                .duration_since(std::time::UNIX_EPOCH)
                .ok()?;
            Some(written.as_nanos())
        });
    times.max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::external::manifest::Manifest;

    fn peer(folder: &Path, more: &str) -> Peer {
        let text = format!(
            r#"{{"name": "p", "language": "X", "about": "a", "install": "ask your vendor", "workloads": ["spawn"],
            {more}}}"#
        );
        Peer::new(
            Manifest::parse(&text).unwrap(),
            Place::Folder(folder.to_owned()),
        )
    }

    #[test]
    fn a_missing_peer_is_reported_with_how_to_install_it() {
        let peer = peer(Path::new("/"), r#""command": ["no-such-program-here"]"#);
        let Err(Failure::NotInstalled(why)) = look(&peer) else {
            panic!("it is not there")
        };
        assert!(why.ends_with("to get it: ask your vendor"), "{why}");
    }

    #[test]
    fn a_version_that_is_too_old_is_not_taken() {
        let manifest = |least: &str| {
            format!(
                r#""program": ["sh"], "version": ["{{program}}", "-c", "echo sh 3.10.2"], "at_least": "{least}",
                "command": ["{{program}}"]"#
            )
        };
        let installed = look(&peer(Path::new("/"), &manifest("3.9"))).unwrap();
        assert_eq!(installed.version.as_deref(), Some("3.10.2"));
        let Err(Failure::NotInstalled(why)) = look(&peer(Path::new("/"), &manifest("3.11"))) else {
            panic!("too old")
        };
        assert!(why.contains("is 3.10.2, 3.11 or later is needed"), "{why}");
    }

    #[test]
    fn a_build_runs_once_and_its_failure_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let builds = r#""command": ["sh"], "build": [["sh", "-c", "echo . >> {build}/times"]]"#;
        let peer_that_builds = peer(folder.path(), builds);
        let mut installed = look(&peer_that_builds).unwrap();
        installed.build = folder.path().join("build");
        for _ in 0..2 {
            build(&peer_that_builds, &installed).unwrap();
        }
        let times = fs::read_to_string(installed.build.join("times")).unwrap();
        assert_eq!(times.lines().count(), 1);
        let fails = r#""command": ["sh"], "build": [["sh", "-c", "echo no error here, but 7 >&2; exit 7"]]"#;
        let error = build(&peer(folder.path(), fails), &installed).unwrap_err();
        assert_eq!(error, "sh: no error here, but 7");
    }
}
