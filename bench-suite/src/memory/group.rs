//! A control group of its own for what is measured, so that the kernel's memory for it can be told from all other.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::environment::control_group_folders;

/// How the folder is named.
const PREFIX: &str = "lab-memory-";

/// A group that this process and its children are in until it is dropped.
#[derive(Debug)]
pub(super) struct Group {
    folder: PathBuf,
    before: PathBuf,
}

impl Group {
    /// Makes a group below the one that this process is in, and moves into it.
    ///
    /// # Errors
    /// When the system does not allow that, or the group would not tell the kernel's memory.
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
                "the control group does not tell the kernel's memory",
            )),
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // An empty group that stays does no harm.
        let _ = fs::write(
            self.before.join("cgroup.procs"),
            std::process::id().to_string(),
        );
        let _ = fs::remove_dir(&self.folder);
    }
}

/// The folder of such a group that this process is in.
pub(super) fn own() -> Option<PathBuf> {
    let folder = control_group_folders("memory").into_iter().next()?;
    let name = folder.file_name()?.to_str()?;
    name.starts_with(PREFIX).then_some(folder)
}

/// The kernel's memory for a group, page tables included.
pub(super) fn kernel_bytes(folder: &Path) -> Option<u64> {
    // Version 1, and version 2.
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
