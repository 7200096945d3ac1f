//! The machine's state before and after measuring, read from `/proc` and `/sys`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::doubts;
use super::quota::{self, Throttling};
use crate::results::{Conditions, Environment};

/// The state at one instant, for comparison with a later one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Instant {
    cpu: Option<CpuTimes>,
    throttling: Option<Throttling>,
}

impl Instant {
    /// Reads the state now.
    pub(crate) fn now() -> Self {
        Self {
            cpu: fs::read_to_string("/proc/stat")
                .ok()
                .and_then(|text| CpuTimes::parse(&text)),
            throttling: quota::throttling("/".as_ref()),
        }
    }
}

/// The time of all cores since the machine started, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CpuTimes {
    all: u64,
    stolen: u64,
}

impl CpuTimes {
    /// Parses the line `cpu` of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal. The later fields
    /// are already included in user.
    fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let ticks: Vec<u64> = line
            .split_whitespace()
            .take(8)
            .map_while(|number| number.parse().ok())
            .collect();
        Some(Self {
            all: ticks.iter().sum(),
            stolen: *ticks.get(7)?,
        })
    }

    /// The share of time that was stolen since `earlier`; `None` if no time passed.
    fn stolen_since(self, earlier: Self) -> Option<f64> {
        let all = self.all.checked_sub(earlier.all).filter(|all| *all > 0)?;
        Some(self.stolen.saturating_sub(earlier.stolen) as f64 / all as f64)
    }
}

fn stolen(from: Instant, to: Instant) -> Option<f64> {
    to.cpu?.stolen_since(from.cpu?)
}

/// The conditions before measuring. `begun` was taken before the machine was warmed up.
pub(crate) fn before(begun: Instant) -> Conditions {
    Conditions {
        load_average_before: load_average(),
        steal_before: stolen(begun, Instant::now()),
        allocator: Some(allocator()),
        ..read("/".as_ref())
    }
}

/// Adds the conditions after measuring, which began at `from`, and judges all of them.
pub(crate) fn after(environment: &mut Environment, from: Instant) {
    let to = Instant::now();
    let Some(mut conditions) = environment.conditions.take() else {
        return;
    };
    conditions.load_average_after = load_average();
    conditions.steal_during = stolen(from, to);
    conditions.throttled = to
        .throttling
        .zip(from.throttling)
        .map(|(to, from)| to.times.saturating_sub(from.times));
    let doubts = doubts::about(environment, &conditions);
    environment.conditions = Some(Conditions {
        doubts,
        ..conditions
    });
}

fn load_average() -> Option<f64> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// Conditions that don't change while measuring, read below `root`.
fn read(root: &Path) -> Conditions {
    let text = |path: &str| {
        let text = fs::read_to_string(root.join(path)).ok()?;
        let text = text.trim().to_owned();
        (!text.is_empty()).then_some(text)
    };
    let cpuinfo = text("proc/cpuinfo").unwrap_or_default();
    Conditions {
        cores_online: text("sys/devices/system/cpu/online").and_then(|list| cores_in(&list)),
        cores_in_mask: text("proc/self/status").and_then(|status| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
            cores_in(line?)
        }),
        cpu_quota_cores: quota::cores(root),
        virtualization: Some(virtualization(&text, &cpuinfo)),
        mitigations: mitigations(&root.join("sys/devices/system/cpu/vulnerabilities")),
        governor: text("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        turbo: turbo(&text),
        transparent_huge_pages: text("sys/kernel/mm/transparent_hugepage/enabled")
            .and_then(|choices| chosen(&choices)),
        ..Conditions::default()
    }
}

/// The number of cores in a list such as `0-3,6`.
fn cores_in(list: &str) -> Option<u64> {
    list.split(',')
        .map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            (last + 1).checked_sub(first)
        })
        .sum()
}

/// The word in brackets.
fn chosen(choices: &str) -> Option<String> {
    let (_, rest) = choices.split_once('[')?;
    Some(rest.split_once(']')?.0.to_owned())
}

fn virtualization(text: &impl Fn(&str) -> Option<String>, cpuinfo: &str) -> String {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"));
    let guest =
        flags.is_some_and(|flags| flags.split_whitespace().any(|flag| flag == "hypervisor"));
    let named = text("sys/hypervisor/type").or_else(|| text("sys/class/dmi/id/sys_vendor"));
    match (guest, named) {
        (false, _) => "none".to_owned(),
        (true, Some(name)) => name,
        (true, None) => "a virtual machine".to_owned(),
    }
}

fn mitigations(folder: &Path) -> BTreeMap<String, String> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files
        .filter_map(|file| {
            let text = fs::read_to_string(file.path()).ok()?;
            let name = file.file_name().to_string_lossy().into_owned();
            Some((name, text.trim().to_owned()))
        })
        .collect()
}

fn turbo(text: &impl Fn(&str) -> Option<String>) -> Option<bool> {
    let off = text("sys/devices/system/cpu/intel_pstate/no_turbo").map(|off| off == "0");
    off.or_else(|| text("sys/devices/system/cpu/cpufreq/boost").map(|on| on == "1"))
}

/// The name of the allocator. This library is linked with the C library's allocator, and the C library says which one
/// it is.
fn allocator() -> String {
    let output = Command::new("getconf")
        .arg("GNU_LIBC_VERSION")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    match output {
        Ok(output) if output.status.success() => {
            format!(
                "system ({})",
                String::from_utf8_lossy(&output.stdout).trim()
            )
        }
        _ => "system".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stolen_time_is_a_share_of_all_time_between_two_looks() {
        let parse = |text: &str| CpuTimes::parse(text).unwrap();
        let first = parse("cpu  100 0 100 700 0 0 0 100 50 0\ncpu0 1 2 3\n");
        let second = parse("cpu  150 0 120 720 0 0 0 110 99 0\n");
        assert_eq!(
            first,
            CpuTimes {
                all: 1000,
                stolen: 100
            }
        );
        assert_eq!(second.stolen_since(first), Some(0.1));
        assert_eq!(first.stolen_since(first), None);
        assert_eq!(
            CpuTimes::parse("cpu 1 2 3\n"),
            None,
            "an old kernel does not tell"
        );
    }

    #[test]
    fn a_machine_of_files_is_read() {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("proc/cpuinfo", "flags\t\t: fpu hypervisor\n"),
            ("proc/self/status", "Cpus_allowed_list:\t0,2-3\n"),
            ("sys/class/dmi/id/sys_vendor", "QEMU\n"),
            ("sys/devices/system/cpu/online", "0-3,6\n"),
            (
                "sys/devices/system/cpu/vulnerabilities/meltdown",
                "Mitigation: PTI\n",
            ),
            (
                "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
                "powersave\n",
            ),
            ("sys/devices/system/cpu/intel_pstate/no_turbo", "1\n"),
            (
                "sys/kernel/mm/transparent_hugepage/enabled",
                "always [madvise] never\n",
            ),
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let read = read(root.path());
        assert_eq!((read.cores_online, read.cores_in_mask), (Some(5), Some(3)));
        assert_eq!(read.virtualization.as_deref(), Some("QEMU"));
        assert_eq!(read.mitigations["meltdown"], "Mitigation: PTI");
        assert_eq!(
            (read.governor.as_deref(), read.turbo),
            (Some("powersave"), Some(false))
        );
        assert_eq!(read.transparent_huge_pages.as_deref(), Some("madvise"));
        assert_eq!(read.cpu_quota_cores, None);
        assert_eq!(super::read("/nowhere".as_ref()).governor, None);
    }
}
