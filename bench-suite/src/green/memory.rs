//! What green tasks cost in mappings and page tables.

/// The number of the process's mappings, if the system reports it.
pub(super) fn mappings() -> Option<u64> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    Some(maps.lines().count() as u64)
}

/// The page tables' memory, if the system reports it. It is part of the cost of sparse stacks, and in no task's
/// resident memory.
pub(super) fn page_table_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmPTE:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
