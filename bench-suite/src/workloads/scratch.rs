//! A folder for the files of one repetition, in memory if the system has an in-memory file system with enough room.
//!
//! On a disk, the same program costs more the longer it runs. For example, each time ext4 without a journal creates a
//! file, it checks every inode that was freed in the last minutes. After 25 repetitions of a thousand files, each
//! removed before the next, a file took 8 times the CPU time. In addition, the kernel writes pages back at times of
//! its own choice. Neither says anything about a runtime.

use std::io;
use std::path::Path;

use rustix::process::{Pid, getpgrp};
use tempfile::TempDir;

use crate::measure::Meter;

/// The flag of a run with files on a disk. Its CPU time per file may grow during the run.
pub(crate) const FILES_ON_DISK: &str = "files_on_disk";

/// Linux's in-memory file system for all users.
const SHARED_MEMORY: &str = "/dev/shm";

/// The folder for temporary files if it is in memory, otherwise the system's folder for shared memory. A folder must
/// have room for twice `bytes`, because other programs need room too. If neither qualifies, the folder for temporary
/// files on its disk.
pub(crate) fn folder(bytes: u64) -> io::Result<TempDir> {
    let temporary = std::env::temp_dir();
    for place in [&temporary, Path::new(SHARED_MEMORY)] {
        if free_memory(place).is_some_and(|free| free / 2 >= bytes)
            && let Ok(folder) = make(place)
        {
            return Ok(folder);
        }
    }
    make(&temporary)
}

/// Adds a flag to the run if `folder` is on a disk.
pub(crate) fn flag(folder: &Path, meter: &mut Meter) {
    if free_memory(folder).is_none() && !meter.flags.contains(&FILES_ON_DISK) {
        meter.flags.push(FILES_ON_DISK);
    }
}

/// Removes the folders of a measured process that was killed with its group. Otherwise they would stay in memory.
pub(crate) fn remove_folders_of(group: Pid) {
    let prefix = prefix(group);
    for place in [std::env::temp_dir().as_path(), Path::new(SHARED_MEMORY)] {
        for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                // Nothing can be done about a folder that can't be removed.
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }
}

fn make(place: &Path) -> io::Result<TempDir> {
    tempfile::Builder::new()
        .prefix(&prefix(getpgrp()))
        .tempdir_in(place)
}

/// A measured process leads its process group, and the group's id is part of the names of its folders.
fn prefix(group: Pid) -> String {
    format!("lab-download-{}-", group.as_raw_nonzero())
}

/// The free bytes in `place`, if its file system is in memory.
fn free_memory(place: &Path) -> Option<u64> {
    /// `TMPFS_MAGIC` and `RAMFS_MAGIC` of statfs(2).
    const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];
    let system = rustix::fs::statfs(place).ok()?;
    let block = u64::try_from(system.f_bsize).ok()?;
    #[allow(clippy::cast_sign_loss, reason = "a magic number: its bits count")]
    let kind = system.f_type as u64 & 0xffff_ffff;
    IN_MEMORY
        .contains(&kind)
        .then(|| block.saturating_mul(system.f_bavail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_kept_in_memory_where_there_is_room() {
        let shared = Path::new(SHARED_MEMORY);
        if free_memory(shared).is_none_or(|free| free < 1 << 20) {
            return; // This system has no such folder.
        }
        let folder = folder(4096).expect("a folder can be made");
        assert!(
            free_memory(folder.path()).is_some(),
            "{}",
            folder.path().display()
        );
        let mut meter = Meter::default();
        flag(folder.path(), &mut meter);
        assert!(meter.flags.is_empty(), "{:?}", meter.flags);
    }

    #[test]
    fn files_without_room_in_memory_go_to_the_temporary_folder() {
        let folder = folder(u64::MAX).expect("a folder can be made");
        assert!(folder.path().starts_with(std::env::temp_dir()));
        let mut meter = Meter::default();
        flag(folder.path(), &mut meter);
        flag(folder.path(), &mut meter);
        let on_disk = free_memory(&std::env::temp_dir()).is_none();
        assert_eq!(meter.flags.len(), usize::from(on_disk));
    }

    #[test]
    fn the_folders_of_a_killed_process_are_removed_and_no_others() {
        // No process has this id, because it is higher than any on Linux.
        let killed = Pid::from_raw(i32::MAX).expect("not zero");
        let left = |group| {
            let folder = tempfile::Builder::new().prefix(&prefix(group)).tempdir();
            let folder = folder.expect("a folder can be made").keep();
            std::fs::write(folder.join("1"), "left").expect("a file can be written");
            folder
        };
        let (theirs, ours) = (left(killed), left(getpgrp()));
        remove_folders_of(killed);
        assert!(!theirs.exists());
        assert!(ours.exists());
        std::fs::remove_dir_all(ours).expect("ours can be removed");
    }
}
