//! The processes of a peer: what they use together, and those that it leaves behind.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{self, Pid, Signal, WaitOptions};

use crate::usage::{self, Counters};

/// How long what a peer started may take to end after it.
const GRACE: Duration = Duration::from_secs(1);

/// What a peer and all that it started have used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) cpu_ns: u64,
    pub(super) counters: Counters,
}

impl Usage {
    /// Now; `None` if the process is gone.
    pub(super) fn of(root: u32) -> Option<Self> {
        let mut sum = Self::default();
        for id in with_descendants(root) {
            match usage::cpu_time_of(id) {
                Some(time) => {
                    let time = time + ended_children(id);
                    sum.cpu_ns += u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
                }
                None if id == root => return None,
                None => continue,
            }
            let counters = usage::counters_of(id);
            sum.counters.voluntary_switches += counters.voluntary_switches;
            sum.counters.involuntary_switches += counters.involuntary_switches;
            sum.counters.page_faults += counters.page_faults;
        }
        Some(sum)
    }
}

/// CPU time that a process and all that it started have used, and how often their threads went to sleep; `None` if it
/// is gone.
pub(crate) fn cpu_ns_and_sleeps(root: u32) -> Option<(u64, u64)> {
    let usage = Usage::of(root)?;
    Some((usage.cpu_ns, usage.counters.voluntary_switches))
}

/// CPU time of children that `id` has waited for.
fn ended_children(id: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let Some((_, rest)) = stat.rsplit_once(") ") else {
        return Duration::ZERO;
    };
    // Fields 16 and 17 of the whole line, in ticks of the clock; a hundred a second on every Linux there is.
    let ticks: u64 = rest
        .split(' ')
        .skip(13)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}

/// The most memory that each of them had resident, added up; `None` where `/proc` does not say.
pub(crate) fn peak_rss_bytes(root: u32) -> Option<u64> {
    let all = with_descendants(root);
    all.into_iter().map(usage::peak_rss_bytes_of).sum()
}

/// Their resident memory but for code; `None` where `/proc` does not say.
pub(super) fn anonymous_bytes(root: u32) -> Option<u64> {
    let of = |id| {
        let sums = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok()?;
        usage::kibibytes(&sums, "Anonymous:")
    };
    with_descendants(root).into_iter().map(of).sum()
}

fn with_descendants(root: u32) -> BTreeSet<u32> {
    let mut all = BTreeSet::new();
    let mut next = vec![root];
    while let Some(id) = next.pop() {
        if all.insert(id) {
            next.extend(children_of(id));
        }
    }
    all
}

fn children_of(id: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{id}/task"));
    threads
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|children| {
            let ids = children.split_whitespace().filter_map(|id| id.parse().ok());
            ids.collect::<Vec<u32>>()
        })
        .collect()
}

/// From now on, processes whose parent ended become children of this one, even those that left its process group:
/// nothing that a peer starts can get away. The children that there are already.
pub(crate) fn adopt() -> Vec<u32> {
    // Where the system has no such thing, those in the process group are still ended with it.
    let _ = process::set_child_subreaper(Some(process::getpid()));
    children_of(std::process::id())
}

/// Waits a moment for all children but `known` to end by themselves, then ends the others; their names.
pub(super) fn left_behind(known: &[u32]) -> Vec<String> {
    let deadline = Instant::now() + GRACE;
    loop {
        let left = strangers(known);
        if left.is_empty() {
            return Vec::new();
        }
        if Instant::now() >= deadline {
            let names = left.iter().map(|&id| name_of(id)).collect();
            end(|| strangers(known));
            return names;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// The environment variable that marks a measured process and all that it starts, with the process that measures.
pub(crate) const MARK: &str = "LAB_MEASURED_BY";

/// Kills the marked children of this process: what a measured process left, and nothing that someone else started
/// here.
pub(crate) fn end_marked() {
    let mark = format!("{MARK}={}", std::process::id());
    let marked = |id: &u32| {
        let environment = fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
        let mut variables = environment.split(|&byte| byte == 0);
        variables.any(|variable| variable == mark.as_bytes())
    };
    end(|| {
        let children = children_of(std::process::id());
        children
            .into_iter()
            .filter(marked)
            .filter(|&id| runs(id))
            .collect()
    });
}

/// Kills what `find` finds, and what becomes a child of this process by that.
fn end(find: impl Fn() -> Vec<u32>) {
    // Each pass kills at least one generation; a peer that forks for ever is not waited for.
    for _ in 0..1000 {
        let left = find();
        if left.is_empty() {
            return;
        }
        for id in left.into_iter().filter_map(pid) {
            let _ = process::kill_process(id, Signal::KILL);
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Children of this process that still run; those that have ended are reaped.
fn strangers(known: &[u32]) -> Vec<u32> {
    let children = children_of(std::process::id());
    let strangers = children.into_iter().filter(|id| !known.contains(id));
    strangers.filter(|&id| runs(id)).collect()
}

/// Whether a child runs; if not, it is reaped.
fn runs(id: u32) -> bool {
    let Some(id) = pid(id) else { return false };
    matches!(process::waitpid(Some(id), WaitOptions::NOHANG), Ok(None))
}

fn pid(id: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(id).ok()?)
}

fn name_of(id: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
    match name.trim() {
        "" => format!("process {id}"),
        name => format!("{} ({id})", name.escape_debug()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    #[cfg(target_os = "linux")]
    fn descendants_are_counted() {
        let mut shell = Command::new("sh")
            .args(["-c", "sleep 60 & echo; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = [0];
        std::io::Read::read(shell.stdout.as_mut().unwrap(), &mut line).unwrap();
        let all = with_descendants(shell.id());
        assert_eq!(all.len(), 2, "{all:?}");
        assert!(Usage::of(shell.id()).unwrap().cpu_ns > 0);
        assert!(peak_rss_bytes(shell.id()).unwrap() > 0);
        assert!(anonymous_bytes(shell.id()).unwrap() > 0);
        for id in all.into_iter().filter_map(pid) {
            process::kill_process(id, Signal::KILL).unwrap();
        }
        shell.wait().unwrap();
        assert_eq!(Usage::of(shell.id()), None);
    }
}
