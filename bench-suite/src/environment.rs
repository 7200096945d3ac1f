//! The machine and the build that figures belong to, and the few limits of the process that measuring needs changed.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::{Resource, Rlimit};

use crate::results::Environment;
use crate::usage;

/// Describes this machine and this build. What cannot be found out is `None`.
pub fn describe(seed: u64) -> Environment {
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
        rustc: known(env!("LAB_RUSTC")),
        profile: env!("LAB_PROFILE").to_owned(),
        commit: known(env!("LAB_COMMIT")),
        seed,
        versions: versions(env!("LAB_VERSIONS")),
        started_unix_s: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .ok()
            .map(|since| since.as_secs()),
        command: Some(
            std::env::args()
                .skip(1)
                .fold("lab".to_owned(), |line, word| line + " " + &word),
        ),
    }
}

/// Cores that this process may use.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Raises the soft limit on open files to the hard one: a thousand connections need more than the usual 1024. The library's
/// crates leave limits alone; this is the program that decides.
pub fn raise_descriptor_limit() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    // A refusal is no error here: a run that needs more descriptors will say so itself.
    let _ = rustix::process::setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
}

/// Touches memory, so that the first process is not the one that pays for it: on a fresh virtual machine the host gives memory
/// at the first touch of each page, which makes that touch several times slower than any later one.
pub fn warm_memory() {
    const MOST_BYTES: u64 = 1 << 30;
    const PAGE_BYTES: usize = 4096;
    let free = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| usage::kibibytes(&text, "MemAvailable:"))
        .unwrap_or(0);
    let bytes = usize::try_from((free / 4).min(MOST_BYTES)).unwrap_or(0);
    let mut memory = vec![0_u8; bytes];
    for page in memory.chunks_mut(PAGE_BYTES) {
        page[0] = 1;
    }
    std::hint::black_box(memory);
}

fn known(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

fn versions(list: &str) -> BTreeMap<String, String> {
    list.split(',')
        .filter_map(|entry| entry.split_once('='))
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .collect()
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
        let environment = describe(7);
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
    fn the_processor_is_read_by_name() {
        let text = "processor\t: 0\nmodel name\t: AMD EPYC 9005: x\nflags\t: fpu\n";
        assert_eq!(cpu_model(text).as_deref(), Some("AMD EPYC 9005: x"));
        assert_eq!(cpu_model("Processor: ARM"), None);
    }
}
