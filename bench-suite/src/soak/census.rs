//! The resources of this process according to the kernel: descriptors, threads, memory.

use std::collections::BTreeMap;
use std::fs;

use crate::usage;

/// The process's resources at one instant. Empty if there is no `/proc`.
#[derive(Clone, Debug, Default)]
pub(super) struct Census {
    /// What each open descriptor refers to.
    descriptors: BTreeMap<u32, String>,
    /// Each thread's name.
    threads: BTreeMap<u32, String>,
    /// Resident memory.
    pub(super) resident_bytes: Option<u64>,
}

impl Census {
    pub(super) fn take() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self {
            descriptors: numbered("/proc/self/fd", |path| {
                let target = fs::read_link(path).ok()?;
                // Skip the descriptor that is reading this folder.
                let own = format!("/proc/{}/fd", std::process::id());
                let target = target.to_string_lossy().into_owned();
                (target != own).then_some(target)
            }),
            threads: numbered("/proc/self/task", |path| {
                let name = fs::read_to_string(path.join("comm")).ok()?;
                Some(name.trim_end().to_owned())
            }),
            resident_bytes: usage::kibibytes(&status, "VmRSS:"),
        }
    }

    /// The number of open descriptors.
    pub(super) fn descriptors(&self) -> usize {
        self.descriptors.len()
    }

    /// The number of threads.
    pub(super) fn threads(&self) -> usize {
        self.threads.len()
    }

    /// What it has in excess of `before`, in words; `None` if nothing.
    pub(super) fn beyond(&self, before: &Self) -> Option<String> {
        let more = |what: &str, now: &BTreeMap<u32, String>, then: &BTreeMap<u32, String>| {
            let count = now.len().saturating_sub(then.len());
            // A number that is in use again may be another descriptor or thread, but usually is not.
            let new = now.iter().filter(|(number, _)| !then.contains_key(number));
            let names: Vec<&str> = new.map(|(_, name)| name.as_str()).take(8).collect();
            let plural = if count == 1 { "" } else { "s" };
            (count > 0).then(|| format!("{count} {what}{plural} left: {}", names.join(", ")))
        };
        let left: Vec<String> = [
            more("descriptor", &self.descriptors, &before.descriptors),
            more("thread", &self.threads, &before.threads),
        ]
        .into_iter()
        .flatten()
        .collect();
        (!left.is_empty()).then(|| left.join("; "))
    }
}

/// The entries of a folder whose names are numbers. Skips entries that disappear meanwhile.
fn numbered(
    folder: &str,
    read: impl Fn(&std::path::Path) -> Option<String>,
) -> BTreeMap<u32, String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            Some((number, read(&entry.path())?))
        })
        .collect()
}
