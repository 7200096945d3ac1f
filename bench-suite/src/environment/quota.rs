//! The CPU time that the control groups allow this process.

use std::fs;
use std::path::Path;

use super::control_groups;

/// The smallest quota of all groups, in cores; `None` without one. Files are read below `root`.
pub(super) fn cores(root: &Path) -> Option<f64> {
    let groups = control_groups::folders(root, "cpu");
    groups
        .iter()
        .filter_map(|group| {
            let text = |name: &str| fs::read_to_string(group.join(name)).ok();
            let number = |name: &str| text(name)?.trim().parse::<f64>().ok();
            let second = || {
                // `max 100000` means no limit.
                let max = text("cpu.max")?;
                let (quota, period) = max.trim().split_once(' ')?;
                Some((quota.parse().ok()?, period.parse().ok()?))
            };
            let first = || Some((number("cpu.cfs_quota_us")?, number("cpu.cfs_period_us")?));
            let (quota, period): (f64, f64) = second().or_else(first)?;
            // -1 also means no limit.
            (quota > 0.0 && period > 0.0).then_some(quota / period)
        })
        .min_by(f64::total_cmp)
}

/// How often a quota stopped this process's groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Throttling {
    pub(super) times: u64,
}

/// The sum over all groups so far; `None` if none of them reports it.
pub(super) fn throttling(root: &Path) -> Option<Throttling> {
    let groups = control_groups::folders(root, "cpu");
    let times: Vec<u64> = groups
        .iter()
        .filter_map(|group| {
            let text = fs::read_to_string(group.join("cpu.stat")).ok()?;
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix("nr_throttled "))?;
            line.trim().parse().ok()
        })
        .collect();
    (!times.is_empty()).then(|| Throttling {
        times: times.iter().sum(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(cgroup: &str, mountinfo: &str, files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let fixed = [
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

    #[test]
    fn the_smallest_quota_on_the_way_up_counts() {
        let mount = "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let root = machine(
            "0::/a/b\n",
            mount,
            &[
                ("sys/fs/cgroup/a/b/cpu.max", "max 100000\n"),
                ("sys/fs/cgroup/a/cpu.max", "150000 100000\n"),
                ("sys/fs/cgroup/a/cpu.stat", "usage_usec 1\nnr_throttled 5\n"),
            ],
        );
        assert_eq!(cores(root.path()), Some(1.5));
        assert_eq!(throttling(root.path()), Some(Throttling { times: 5 }));
    }

    #[test]
    fn version_1_has_a_quota_of_its_own() {
        let mount = "33 25 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n";
        for (quota, found) in [("-1\n", None), ("50000\n", Some(0.5))] {
            let files = [
                ("sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", quota),
                ("sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n"),
            ];
            let root = machine("3:cpu,cpuacct:/x\n", mount, &files);
            assert_eq!(cores(root.path()), found);
        }
        assert_eq!(
            (cores("/nowhere".as_ref()), throttling("/nowhere".as_ref())),
            (None, None)
        );
    }
}
