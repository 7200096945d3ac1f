//! A separate control group for the measured process, so that its kernel memory can be distinguished.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::environment::control_group_folders;

/// The prefix of the folder's name.
const PREFIX: &str = "lab-memory-";

/// A control group that contains this process and its children until it is dropped.
#[derive(Debug)]
pub(super) struct Group {
    folder: PathBuf,
    before: PathBuf,
}

impl Group {
    /// Creates a group below this process's group, and moves this process into it.
    ///
    /// # Errors
    /// If the system does not allow it, or the group would not report kernel memory.
    pub(super) fn enter() -> io::Result<Self> {
        let before = control_group_folders("memory").into_iter().next();
        let before = before.ok_or_else(|| io::Error::other("there are no control groups"))?;
        let folder = before.join(format!("{PREFIX}{}", std::process::id()));
        fs::create_dir(&folder)?;
        let group = Self { folder, before };
        fs::write(
            group.folder.join("cgroup.procs"),
            std::process::id().to_string(),
        )?;
        match kernel_bytes(&group.folder) {
            Some(_) => Ok(group),
            None => Err(io::Error::other(
                "the control group does not report kernel memory",
            )),
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // An empty group that stays behind does no harm.
        let _ = fs::write(
            self.before.join("cgroup.procs"),
            std::process::id().to_string(),
        );
        let _ = fs::remove_dir(&self.folder);
    }
}

/// The folder of this process's group, if it is such a group.
pub(super) fn own() -> Option<PathBuf> {
    let folder = control_group_folders("memory").into_iter().next()?;
    let name = folder.file_name()?.to_str()?;
    name.starts_with(PREFIX).then_some(folder)
}

/// The kernel memory of a group, including page tables.
pub(super) fn kernel_bytes(folder: &Path) -> Option<u64> {
    // Version 1, then version 2.
    let first = || {
        fs::read_to_string(folder.join("memory.kmem.usage_in_bytes"))
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    let text = fs::read_to_string(folder.join("memory.stat")).ok()?;
    let second = || {
        let line = text.lines().find_map(|line| line.strip_prefix("kernel "))?;
        line.trim().parse().ok()
    };
    first().or_else(second)
}
