//! The machine and the build that figures belong to, and the process limits that a measurement changes.

mod conditions;
mod control_groups;
mod doubts;
mod quota;
mod warming;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::{Resource, Rlimit};

use crate::provenance::{self, Build};
use crate::results::Environment;
use crate::usage;

pub(crate) use conditions::{Instant, after, before};
pub(crate) use doubts::line as doubts;
pub(crate) use warming::{warm_memory, warm_processors};

/// The folders of this process's control groups for one controller, the innermost first.
pub(crate) fn control_group_folders(controller: &str) -> Vec<PathBuf> {
    control_groups::folders("/".as_ref(), controller)
}

/// Describes this machine, and what `build` says about the program. Unknown facts are `None`.
pub fn describe(seed: u64, build: &Build) -> Environment {
    Environment {
        id: "e1".to_owned(),
        cpu: fs::read_to_string("/proc/cpuinfo")
            .ok()
            .and_then(|text| cpu_model(&text)),
        cores: cores() as u64,
        memory_bytes: fs::read_to_string("/proc/meminfo")
            .ok()
            .and_then(|text| usage::kibibytes(&text, "MemTotal:")),
        kernel: rustix::system::uname()
            .release()
            .to_str()
            .ok()
            .map(str::to_owned),
        rustc: provenance::compiler(),
        profile: provenance::profile(),
        profile_settings: provenance::profile_settings(),
        program: build.program.clone(),
        commit: build.commit.clone(),
        lab: Some(provenance::library()),
        seed,
        versions: build.versions.clone(),
        started_unix_s: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .ok()
            .map(|since| since.as_secs()),
        command: Some(command_line(std::env::args_os())),
        shard: None,
        conditions: None,
    }
}

/// The number of cores that this process may use: those in its affinity mask, limited by the quota of its control
/// groups, and at least one. A fraction of a core does not count, because its worker would be stopped for part of each
/// period.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Raises the soft limit on open files to the hard limit. A thousand connections need more than the usual 1024. The
/// library's crates don't change limits; that is the program's decision.
pub fn raise_descriptor_limit() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    // A refusal is not an error yet. A run that needs more descriptors will report it.
    let _ = rustix::process::setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
}

/// The command line in readable form: the program's name without its folder, and the arguments.
fn command_line(mut words: impl Iterator<Item = OsString>) -> String {
    let program = words.next().map(PathBuf::from);
    let program = program.as_deref().and_then(Path::file_name);
    let program = program.map_or("lab".into(), OsStr::to_string_lossy);
    words.fold(program.into_owned(), |line, word| {
        line + " " + &word.to_string_lossy()
    })
}

fn cpu_model(cpuinfo: &str) -> Option<String> {
    cpuinfo
        .lines()
        .find(|line| line.starts_with("model name"))
        .and_then(|line| line.split_once(':'))
        .map(|(_, model)| model.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_machine_and_build() {
        let environment = describe(7, &Build::of_this_project());
        assert_eq!(environment.seed, 7);
        assert!(environment.cores >= 1);
        assert!(
            environment.versions.contains_key("serde"),
            "{environment:?}"
        );
        assert!(
            environment
                .rustc
                .is_some_and(|rustc| rustc.starts_with("rustc "))
        );
    }

    #[test]
    fn a_command_line_need_not_be_text() {
        use std::os::unix::ffi::OsStringExt as _;
        let words = [&b"/some/where/lab"[..], b"compare", b"\xff"];
        let words = words.map(|word| OsString::from_vec(word.to_vec()));
        assert_eq!(command_line(words.into_iter()), "lab compare \u{fffd}");
        assert_eq!(command_line([].into_iter()), "lab");
    }

    #[test]
    fn the_processor_is_read_by_name() {
        let text = "processor\t: 0\nmodel name\t: AMD EPYC 9005: x\nflags\t: fpu\n";
        assert_eq!(cpu_model(text).as_deref(), Some("AMD EPYC 9005: x"));
        assert_eq!(cpu_model("Processor: ARM"), None);
    }
}
