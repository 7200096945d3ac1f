//! Which processors this process may run on, and what they share, as Linux reports it.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::sync::OnceLock;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::policy::{Cpu, Topology};

const ROOT: &str = "/sys/devices/system";

/// The processors of this process at the time of the first call. If what they share can't be read, they count as one
/// node.
pub(crate) fn machine() -> &'static Topology {
    static MACHINE: OnceLock<Topology> = OnceLock::new();
    MACHINE.get_or_init(|| {
        read_from(&allowed(), &|path| {
            fs::read_to_string(format!("{ROOT}/{path}")).ok()
        })
    })
}

/// The processors that this process may run on.
fn allowed() -> Vec<u32> {
    let Ok(set) = sched_getaffinity(None) else {
        return (0..num_cpus::get() as u32).collect();
    };
    let all = 0..CpuSet::MAX_CPU;
    all.filter(|cpu| set.is_set(*cpu))
        .map(|cpu| cpu as u32)
        .collect()
}

/// The processors on which the process could run when the first worker was about to be pinned.
static WHOLE: OnceLock<CpuSet> = OnceLock::new();

/// Call this when the calling thread is about to start pinned threads.
pub(crate) fn before_pinning() {
    if let Ok(whole) = sched_getaffinity(None) {
        let _ = WHOLE.set(whole);
    }
}

/// Pins the calling thread to a processor, which was [checked](check). If the system still refuses, the thread stays
/// where it is.
pub(crate) fn pin(cpu: u32) {
    let mut set = CpuSet::new();
    set.set(cpu as usize);
    let _ = sched_setaffinity(None, &set);
}

/// Lets the calling thread run on all processors of the process. Without this, it inherits the pin of its starter.
pub(crate) fn unpin() {
    if let Some(whole) = WHOLE.get() {
        let _ = sched_setaffinity(None, whole);
    }
}

/// Refuses processors that the process may not run on.
pub(crate) fn check(topology: &Topology) -> io::Result<()> {
    let allowed = allowed();
    match topology
        .cpus()
        .iter()
        .find(|cpu| !allowed.contains(&cpu.number))
    {
        None => Ok(()),
        Some(cpu) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "a worker can't be pinned to processor {}: the process may run on {allowed:?}",
                cpu.number
            ),
        )),
    }
}

/// Like [`machine`], for those processors, from files that are given by their paths below [`ROOT`].
fn read_from(cpus: &[u32], file: &dyn Fn(&str) -> Option<String>) -> Topology {
    let nodes = nodes(file);
    let read = |number: u32| {
        Some(Cpu {
            number,
            core: core(number, file)?,
            cache: last_cache(number, file)?,
            node: nodes.get(&number).copied().unwrap_or(0),
        })
    };
    let Some(mut read) = cpus
        .iter()
        .map(|cpu| read(*cpu))
        .collect::<Option<Vec<_>>>()
    else {
        return Topology::new(cpus.iter().map(|&number| Cpu {
            number,
            core: number,
            cache: 0,
            node: 0,
        }));
    };
    // One thread of each core first, then the second threads: workers get their own cores before they share them.
    let mut threads = HashMap::new();
    read.sort_by_cached_key(|cpu| {
        let thread = threads.entry(cpu.core).or_insert(0);
        *thread += 1;
        (*thread, cpu.number)
    });
    Topology::new(read)
}

/// The number of a core is that of its first hardware thread.
fn core(cpu: u32, file: &dyn Fn(&str) -> Option<String>) -> Option<u32> {
    let of = |name: &str| file(&format!("cpu/cpu{cpu}/topology/{name}"));
    let threads = of("core_cpus_list").or_else(|| of("thread_siblings_list"))?;
    list(&threads)?.into_iter().min()
}

/// The number of a cache is that of the first processor that it serves; the last level is the largest. Without
/// information about caches, a package counts as one.
fn last_cache(cpu: u32, file: &dyn Fn(&str) -> Option<String>) -> Option<u32> {
    let level = |index: u32| {
        let of = |name: &str| file(&format!("cpu/cpu{cpu}/cache/index{index}/{name}"));
        let level: u32 = of("level")?.trim().parse().ok()?;
        Some((level, of("shared_cpu_list")?))
    };
    let levels = (0..).map_while(level);
    let package = |name| file(&format!("cpu/cpu{cpu}/topology/{name}"));
    let shared = levels
        .max_by_key(|(level, _)| *level)
        .map(|(_, shared)| shared);
    let shared = shared
        .or_else(|| package("package_cpus_list"))
        .or_else(|| package("core_siblings_list"))?;
    list(&shared)?.into_iter().min()
}

/// The node of each processor. Empty if the machine has no nodes.
fn nodes(file: &dyn Fn(&str) -> Option<String>) -> HashMap<u32, u32> {
    let online = file("node/online").and_then(|online| list(&online));
    let cpus = |node: u32| {
        let cpus = file(&format!("node/node{node}/cpulist")).and_then(|cpus| list(&cpus));
        cpus.unwrap_or_default()
            .into_iter()
            .map(move |cpu| (cpu, node))
    };
    online
        .unwrap_or_default()
        .into_iter()
        .flat_map(cpus)
        .collect()
}

/// A set of numbers as the kernel writes it: `0-3,8,10-11`. `None` if the text has another form.
fn list(text: &str) -> Option<Vec<u32>> {
    /// More processors than any machine has: a file with a larger number is rejected.
    const MAX_CPU: u32 = 1 << 16;
    let text = text.trim();
    let mut numbers = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if last >= MAX_CPU {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some(numbers)
}

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests {
    use super::*;
    use crate::policy::Distance;

    /// Two nodes; on each, two cores of two threads with one cache. Threads of one core are 4 apart.
    fn machine(path: &str) -> Option<String> {
        let cpu = |part: &str| part.strip_prefix("cpu")?.parse::<u32>().ok();
        let parts: Vec<_> = path.split('/').collect();
        Some(match parts[..] {
            ["node", "online"] => "0-1\n".into(),
            ["node", "node0", "cpulist"] => "0-1,4-5\n".into(),
            ["node", "node1", "cpulist"] => "2,3,6,7\n".into(),
            ["cpu", it, "topology", "core_cpus_list"] => {
                let core = cpu(it)? % 4;
                format!("{core},{}\n", core + 4)
            }
            ["cpu", _, "cache", "index0", "level"] => "1\n".into(),
            ["cpu", it, "cache", "index0", "shared_cpu_list"] => format!("{}\n", cpu(it)?),
            ["cpu", _, "cache", "index1", "level"] => "3\n".into(),
            ["cpu", it, "cache", "index1", "shared_cpu_list"] => {
                if cpu(it)? % 4 < 2 {
                    "0-1,4-5\n".into()
                } else {
                    "2-3,6-7\n".into()
                }
            }
            _ => return None,
        })
    }

    #[test]
    fn workers_take_cores_before_they_share_them() {
        let topology = read_from(&[0, 1, 2, 3, 4, 5, 6, 7], &machine);
        let numbers: Vec<_> = topology.cpus().iter().map(|cpu| cpu.number).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(topology.distance(0, 4), Distance::Core);
        assert_eq!(topology.distance(0, 1), Distance::Cache);
        assert_eq!(topology.distance(0, 2), Distance::Machine);
        // The two threads of core 0, and one of core 2: the second thread comes last.
        let topology = read_from(&[0, 4, 6], &machine);
        let numbers: Vec<_> = topology.cpus().iter().map(|cpu| cpu.number).collect();
        assert_eq!(numbers, [0, 6, 4]);
    }

    #[test]
    fn a_machine_without_topology_is_one_node_with_the_allowed_processors() {
        for broken in ["", "core_cpus_list", "shared_cpu_list"] {
            let topology = read_from(&[2, 5], &|path| {
                (!broken.is_empty() && !path.contains(broken))
                    .then(|| machine(path))
                    .flatten()
            });
            let numbers: Vec<_> = topology.cpus().iter().map(|cpu| cpu.number).collect();
            assert_eq!(numbers, [2, 5]);
            assert_eq!(
                topology.distance(0, 1),
                Distance::Cache,
                "without `{broken}`"
            );
        }
    }

    #[test]
    fn only_the_kernels_list_format_is_parsed() {
        assert_eq!(list("0-3,8,10-11\n"), Some(vec![0, 1, 2, 3, 8, 10, 11]));
        assert_eq!(list("\n"), Some(vec![]));
        for nonsense in ["a", "1-", "0-4294967295", "-1", "1,,x"] {
            assert_eq!(list(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn this_machine_has_the_processors_that_this_process_may_use() {
        let topology = super::machine();
        let mut numbers: Vec<_> = topology.cpus().iter().map(|cpu| cpu.number).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, allowed());
        check(topology).unwrap();
        let beyond = Cpu {
            number: 1 << 20,
            core: 0,
            cache: 0,
            node: 0,
        };
        let error = check(&Topology::new([beyond])).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
