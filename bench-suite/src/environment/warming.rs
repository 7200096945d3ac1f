//! Touches memory and keeps processors busy before anything is measured.
//!
//! This must never cause the system to kill a run.
//!
//! On a fresh virtual machine, the host provides each page at its first touch. That touch is several times slower than
//! later ones, and the first measured process must not pay for it. At most a quarter of the *smallest* available amount
//! is touched:
//!
//! | limit | read from |
//! |---|---|
//! | free memory of the machine | `MemAvailable` in `/proc/meminfo` |
//! | cgroup v2, from this process's group up to the root | `memory.max` and `memory.high` less `memory.current` |
//! | cgroup v1, likewise | `memory.limit_in_bytes` less `memory.usage_in_bytes` |
//! | address space, `ulimit -v` | `RLIMIT_AS` less `VmSize` |
//! | data, `ulimit -d` | `RLIMIT_DATA` less `VmData` |
//!
//! Other programs use memory at the same time, so the limits are checked again before each piece. If the system refuses
//! a piece, warming stops; this is not an error.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};

use super::control_groups;
use crate::usage;

/// The amount that is touched between two checks.
const PIECE_BYTES: usize = 16 << 20;
/// The data that fills a piece.
static BLOCK: [u8; 64 << 10] = [1; 64 << 10];

/// Touches at most `most_bytes` of memory, and frees it.
pub(crate) fn warm_memory(most_bytes: u64) {
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    let mut touched = 0;
    while touched < most_bytes {
        // Memory that was touched no longer counts as available. If three times as much is still available, it was at
        // most a quarter.
        let wanted = 3 * (touched + PIECE_BYTES as u64) + PIECE_BYTES as u64;
        if room_bytes("/".as_ref()).is_none_or(|room| room < wanted) {
            break;
        }
        let mut piece: Vec<u8> = Vec::new();
        if piece.try_reserve_exact(PIECE_BYTES).is_err() {
            break;
        }
        // This stays within the reservation, so no allocation can fail. It writes whole blocks, because an unoptimised
        // build would take seconds for single bytes.
        while piece.len() < PIECE_BYTES {
            piece.extend_from_slice(&BLOCK);
        }
        pieces.push(std::hint::black_box(piece));
        touched += PIECE_BYTES as u64;
    }
}

/// Keeps every available processor busy for `time`, so that its clock frequency has risen.
pub(crate) fn warm_processors(time: Duration) {
    let end = Instant::now() + time;
    let spin = || {
        while Instant::now() < end {
            std::hint::spin_loop();
        }
    };
    thread::scope(|scope| {
        for _ in 1..super::cores() {
            // If the system refuses a thread, this thread still warms up a processor.
            let _ = thread::Builder::new().spawn_scoped(scope, spin);
        }
        spin();
    });
}

/// How many more bytes this process can get, as the smallest of all limits; `None` if the system does not say. Files
/// are read below `root`.
fn room_bytes(root: &Path) -> Option<u64> {
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let available = usage::kibibytes(&read("proc/meminfo"), "MemAvailable:")?;
    let status = read("proc/self/status");
    let left = |resource, used: &str| {
        let limit = getrlimit(resource).current?;
        Some(limit.saturating_sub(usage::kibibytes(&status, used).unwrap_or(0)))
    };
    let limits = [
        left(Resource::As, "VmSize:"),
        left(Resource::Data, "VmData:"),
        cgroups_bytes(root),
    ];
    limits.into_iter().flatten().chain([available]).min()
}

/// The smallest amount left in the control groups of this process and their ancestors.
fn cgroups_bytes(root: &Path) -> Option<u64> {
    let groups = control_groups::folders(root, "memory");
    groups.iter().filter_map(|group| group_bytes(group)).min()
}

/// The amount left in one group; `None` if it has no limit.
fn group_bytes(group: &Path) -> Option<u64> {
    let number = |name: &str| -> Option<u64> {
        let text = fs::read_to_string(group.join(name)).ok()?;
        // `max` means no limit.
        text.trim().parse().ok()
    };
    let limits = ["memory.max", "memory.high", "memory.limit_in_bytes"];
    let limit = limits.into_iter().filter_map(number).min()?;
    let used = number("memory.current").or_else(|| number("memory.usage_in_bytes"));
    Some(limit.saturating_sub(used.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine made of files, with 8 GiB free.
    fn machine(cgroup: &str, mountinfo: &str, files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let fixed = [
            ("proc/meminfo", "MemAvailable: 8388608 kB\n"),
            ("proc/self/status", "VmSize: 1 kB\nVmData: 1 kB\n"),
            ("proc/self/cgroup", cgroup),
            ("proc/self/mountinfo", mountinfo),
        ];
        for (path, text) in fixed.iter().chain(files) {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    const V2: &str = "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";

    #[test]
    fn the_smallest_limit_on_the_whole_path_counts() {
        let root = machine(
            "0::/a/b/c\n",
            V2,
            &[
                ("sys/fs/cgroup/a/b/c/memory.max", "max\n"),
                ("sys/fs/cgroup/a/b/memory.max", "1000000000\n"),
                ("sys/fs/cgroup/a/b/memory.high", "300000000\n"),
                ("sys/fs/cgroup/a/b/memory.current", "100000000\n"),
                ("sys/fs/cgroup/a/memory.max", "900000000\n"),
            ],
        );
        assert_eq!(cgroups_bytes(root.path()), Some(200_000_000));
        assert!(room_bytes(root.path()) <= Some(200_000_000));
    }

    #[test]
    fn version_1_and_a_container_s_own_view_are_read() {
        let first = "33 25 0:29 /docker/x /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n\
                     34 25 0:30 /docker/x /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";
        let limit = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "50000000\n");
        let used = ("sys/fs/cgroup/memory/memory.usage_in_bytes", "60000000\n");
        for path in ["/docker/x", "/elsewhere"] {
            let memberships = format!("5:cpu:/\n4:memory:{path}\n0::/\n");
            let root = machine(&memberships, first, &[limit, used]);
            assert_eq!(cgroups_bytes(root.path()), Some(0), "{path}");
        }
    }

    #[test]
    fn without_groups_the_machine_is_the_limit() {
        let root = machine("0::/\n", V2, &[]);
        assert_eq!(cgroups_bytes(root.path()), None);
        assert!(room_bytes(root.path()) <= Some(8 << 30));
        assert_eq!(room_bytes("/nowhere".as_ref()), None);
    }
}
