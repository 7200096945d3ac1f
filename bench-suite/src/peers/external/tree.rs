//! The processes of a peer: what they use in total, and which of them it leaves behind.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{self, Pid, Signal, WaitOptions};

use crate::memory::reading::Reading;
use crate::usage::{self, Counters};

/// How long processes that a peer started may take to end after it.
const GRACE: Duration = Duration::from_secs(1);

/// What a peer and all its descendants have used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) cpu_ns: u64,
    pub(super) counters: Counters,
}

impl Usage {
    /// The usage now; `None` if the process is gone.
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
            sum.counters.add(counters);
        }
        Some(sum)
    }
}

/// CPU time of a process and its descendants, and how often their threads went to sleep; `None` if the process is gone.
pub(crate) fn cpu_ns_and_sleeps(root: u32) -> Option<(u64, u64)> {
    let usage = Usage::of(root)?;
    Some((usage.cpu_ns, usage.counters.voluntary_switches))
}

/// CPU time of children that `id` has waited for.
fn ended_children(id: u32) -> Duration {
    let stat = stat(id);
    let Some((_, rest)) = stat.rsplit_once(") ") else {
        return Duration::ZERO;
    };
    // Fields 16 and 17 of the whole line, in clock ticks, of which every Linux has 100 per second.
    let ticks: u64 = rest
        .split(' ')
        .skip(13)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}

/// The sum of the peak resident memory of each of them; `None` if `/proc` does not say.
pub(crate) fn peak_rss_bytes(root: u32) -> Option<u64> {
    let all = with_descendants(root);
    all.into_iter().map(usage::peak_rss_bytes_of).sum()
}

/// Their resident memory without code; `None` if `/proc` does not say.
pub(super) fn anonymous_bytes(root: u32) -> Option<u64> {
    let of = |id| {
        let sums = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok()?;
        usage::kibibytes(&sums, "Anonymous:")
    };
    with_descendants(root).into_iter().map(of).sum()
}

/// Their memory by purpose.
pub(super) fn memory(root: u32) -> Reading {
    Reading::of(with_descendants(root))
}

/// The threads of all of them.
pub(super) fn threads(root: u32) -> Vec<u32> {
    let of = |id| {
        let threads = fs::read_dir(format!("/proc/{id}/task"));
        let threads = threads.into_iter().flatten().flatten();
        let ids = threads.filter_map(|thread| thread.file_name().to_str()?.parse().ok());
        ids.collect::<Vec<u32>>()
    };
    with_descendants(root).into_iter().flat_map(of).collect()
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

/// From now on, this process adopts orphaned descendants, even those that left its process group, so nothing that a
/// peer starts can get away. Returns the children that exist already.
pub(crate) fn adopt() -> Vec<u32> {
    // If the system does not support this, processes in the group still end with it.
    let _ = process::set_child_subreaper(Some(process::getpid()));
    children_of(std::process::id())
}

/// Waits a moment for all children except `known` to end, and kills the others. Returns their names.
pub(super) fn left_behind(known: &[u32]) -> Vec<String> {
    let deadline = Instant::now() + GRACE;
    loop {
        let left = strangers(known);
        if left.is_empty() {
            return Vec::new();
        }
        if Instant::now() >= deadline {
            let names = left.iter().map(|&id| name_of(id)).collect();
            end(|| strangers(known), |_| true);
            return names;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// The environment variable that marks a measured process and all its descendants. Its value is the measuring process.
pub(crate) const MARK: &str = "LAB_MEASURED_BY";

/// Kills the marked children of this process: those that a measured process left behind, and none that anything else
/// started.
pub(crate) fn end_marked() {
    let mark = format!("{MARK}={}", std::process::id());
    let environment = |id: u32| fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
    let marked = |id: &u32| {
        let environment = environment(*id);
        let mut variables = environment.split(|&byte| byte == 0);
        variables.any(|variable| variable == mark.as_bytes())
    };
    // A process without an environment is about to end or has just started. Look at it again, but not forever, because
    // it may not be ours.
    let looks_left = Cell::new(10_u32);
    let unclear = |id: u32| {
        let again = looks_left.get() > 0 && environment(id).is_empty() && runs_unseen(id);
        looks_left.set(looks_left.get().saturating_sub(u32::from(again)));
        again
    };
    // When an exiting process ends, its children become ours.
    let concerns = |id: &u32| is_exiting(&stat(*id)) || (marked(id) && runs(*id)) || unclear(*id);
    end(
        || {
            let children = children_of(std::process::id());
            children.into_iter().filter(concerns).collect()
        },
        marked,
    );
}

fn stat(id: u32) -> String {
    fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default()
}

/// Whether a process is exiting, according to its `/proc/ID/stat`, but has not handed over its children yet. The kernel
/// hands them over when its last thread ends.
fn is_exiting(stat: &str) -> bool {
    /// The kernel's `PF_EXITING`.
    const EXITING: u64 = 4;
    let Some((_, rest)) = stat.rsplit_once(") ") else {
        return false;
    };
    let fields: Vec<&str> = rest.split(' ').collect();
    let number = |index: usize| {
        fields
            .get(index)
            .and_then(|field| field.parse::<u64>().ok())
    };
    let ended = fields
        .first()
        .is_some_and(|state| matches!(*state, "Z" | "X"));
    let threads = number(17).unwrap_or(0);
    number(6).is_some_and(|flags| flags & EXITING != 0) && (!ended || threads > 1)
}

/// Whether a child still runs; does not reap it.
fn runs_unseen(id: u32) -> bool {
    let stat = stat(id);
    let state = stat.rsplit_once(") ").map(|(_, rest)| rest);
    state.is_some_and(|state| !state.starts_with(['Z', 'X']))
}

/// Kills what `find` finds, if `may_be_killed` allows it, until `find` finds nothing. This includes processes that
/// become children of this one meanwhile.
fn end(find: impl Fn() -> Vec<u32>, may_be_killed: impl Fn(&u32) -> bool) {
    // Each pass kills at least one generation. The limit is for a peer that forks forever.
    for _ in 0..1000 {
        let left = find();
        if left.is_empty() {
            return;
        }
        for id in left.into_iter().filter(&may_be_killed).filter_map(pid) {
            let _ = process::kill_process(id, Signal::KILL);
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Children of this process that still run, apart from `known`. Reaps those that have ended.
fn strangers(known: &[u32]) -> Vec<u32> {
    let children = children_of(std::process::id());
    let strangers = children.into_iter().filter(|id| !known.contains(id));
    strangers.filter(|&id| runs(id)).collect()
}

/// Whether a child still runs; reaps it if not.
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
    fn a_process_that_hands_over_its_children_only_later_is_waited_for() {
        let stat = |state: &str, flags: u32, threads: u32| {
            format!("7 (a) b) {state} 1 7 7 0 -1 {flags} 1 2 3 4 5 6 7 8 20 0 {threads} 0 9")
        };
        assert!(!is_exiting(&stat("S", 0x0040_0000, 1)));
        assert!(is_exiting(&stat("R", 0x0040_0004, 1)), "it is about to end");
        assert!(is_exiting(&stat("Z", 4, 3)), "its other threads still run");
        assert!(!is_exiting(&stat("Z", 4, 1)), "its children are ours");
        assert!(!is_exiting(""));
    }

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
